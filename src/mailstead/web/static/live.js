// Puts new messages on top of the list as they become visible.
"use strict";

const table = document.getElementById("messages");
const rows = table.tBodies[0];
const first = rows.rows[0];

function cell(row, text, name) {
  const made = row.insertCell();
  made.textContent = text;
  if (name) made.className = name;
  return made;
}

function show(message) {
  if (rows.querySelector(`[data-id="${message.id}"]`)) return;
  const row = rows.insertRow(0);
  row.dataset.id = message.id;
  row.className = "new";
  const time = document.createElement("time");
  time.textContent = message.received_at;
  row.insertCell().append(time);
  cell(row, message.from);
  cell(row, message.to.join(", "));
  const link = document.createElement("a");
  link.href = `/messages/${message.id}`;
  link.textContent = message.subject || "(no subject)";
  row.insertCell().append(link);
  for (const name of ["spf", "dkim", "dmarc"]) {
    const verdict = message.authentication[name];
    cell(row, verdict, `verdict ${verdict}`);
  }
  table.hidden = false;
  document.getElementById("empty").hidden = true;
}

const events = new EventSource(`/events?after=${first ? first.dataset.id : 0}`);
events.onmessage = (event) => show(JSON.parse(event.data));
