// A clock: the time comes from the server, once a second, as server-sent events.
const express = require('express')

const app = express()
const page = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Clock</title>
<style>body{font:18px system-ui;display:grid;place-items:center;height:90vh}time{font-size:15vw}</style>
<main><time></time><p>Release ${process.env.PIER_RELEASE ?? 'development'}</p></main>
<script>new EventSource('/time').onmessage = e => document.querySelector('time').textContent = e.data</script></html>`

app.get('/', (_request, response) => response.type('html').send(page))
app.get('/healthz', (_request, response) => response.type('text').send('ok\n'))
app.get('/time', (request, response) => {
  response.set({ 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
  const tick = () => response.write(`data: ${new Date().toISOString().slice(11, 19)}\n\n`)
  tick()
  const timer = setInterval(tick, 1000)
  request.on('close', () => clearInterval(timer))
})

const server = app.listen(process.env.PORT ?? 3000, () => console.log('The clock runs.'))
process.on('SIGTERM', () => {
  server.close(() => process.exit(0))
  server.closeAllConnections()
})
