// Another client than ours registers, writes, watches and finds; what it saw is printed.
const Consul = require("consul");
const [url, name] = process.argv.slice(2);
const { hostname, port } = new URL(url);
(async () => {
  const consul = new Consul({ host: hostname, port: Number(port) });
  await consul.agent.service.register({ name: name + "-js", id: name + "-js", port: 7, check: { ttl: "1h" } });
  await consul.agent.check.pass("service:" + name + "-js");
  await consul.kv.set(name + "-js", "from node");
  const watch = consul.watch({ method: consul.kv.get, options: { key: name + "-watched" }, backoffFactor: 100 });
  const seen = new Promise((resolve, reject) => {
    watch.on("change", (data) => { if (data && data.Value === "changed") resolve(data.Value); });
    watch.on("error", reject);
  });
  await consul.kv.set(name + "-watched", "first");
  await consul.kv.set(name + "-watched", "changed");
  const watched = await seen;
  watch.end();
  const found = await consul.health.service({ service: name, passing: true });
  const names = await consul.catalog.service.list();
  console.log(JSON.stringify({ ids: found.map((e) => e.Service.ID), listed: name in names, watched }));
  process.exit(0);
})().catch((error) => { console.error(error); process.exit(1); });
