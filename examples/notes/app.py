"""Notes: a small web app with a database file on a volume. Two instances may run at once."""

import os
import sqlite3
import time
from contextlib import closing

from flask import Flask, g, jsonify, redirect, render_template, request

app = Flask(__name__)
DATABASE = os.path.join(os.environ.get("NOTES_FOLDER", "/data"), "notes.db")


def connect():
    connection = sqlite3.connect(DATABASE, timeout=10)
    connection.row_factory = sqlite3.Row
    return connection


def database():
    if "database" not in g:
        g.database = connect()
    return g.database


@app.teardown_appcontext
def close(_error):
    if "database" in g:
        g.database.close()


def prepare():
    """The table is there. Another instance may be doing the same: changing the mode needs the file for itself."""
    for _ in range(50):
        try:
            with closing(connect()) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL, "
                    "written_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M', 'now')))"
                )
                connection.commit()
                return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            time.sleep(0.1)
    raise SystemExit(f"{DATABASE} stays locked")


def all_notes():
    return [dict(row) for row in database().execute("SELECT * FROM notes ORDER BY id DESC LIMIT 100")]


def add(text):
    with database() as connection:
        return connection.execute("INSERT INTO notes (text) VALUES (?)", (text,)).lastrowid


@app.get("/")
def index():
    return render_template(
        "index.html",
        title="Notes",
        notes=all_notes(),
        release=os.environ.get("PIER_RELEASE", "development"),
        commit=os.environ.get("GIT_REV", "")[:10],
        instance=os.environ.get("HOSTNAME", "")[:12],
    )


@app.post("/")
def write():
    text = request.form.get("text", "").strip()
    if text:
        add(text[:500])
    return redirect("/")


@app.get("/api/notes")
def list_notes():
    return jsonify(all_notes())


@app.post("/api/notes")
def create_note():
    body = request.get_json(silent=True) or {}
    text = str(body.get("text", "")).strip()
    if not text:
        return jsonify(error="text: must not be empty"), 400
    return jsonify(id=add(text[:500]), text=text[:500]), 201


@app.get("/healthz")
def healthz():
    database().execute("SELECT 1 FROM notes LIMIT 1").fetchone()
    return "ok\n"


prepare()
