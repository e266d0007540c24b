// Shows one view of a message at a time; without this script all stand below each other.
"use strict";

const tabs = [...document.querySelectorAll(".tabs a[href^='#']")];
const views = tabs.map((tab) => document.getElementById(`view-${tab.hash.slice(1)}`));

function choose() {
  const wanted = tabs.findIndex((tab) => tab.hash === location.hash);
  const chosen = wanted < 0 ? 0 : wanted;
  tabs.forEach((tab, place) => tab.classList.toggle("chosen", place === chosen));
  views.forEach((view, place) => { view.hidden = place !== chosen; });
}

addEventListener("hashchange", choose);
choose();
