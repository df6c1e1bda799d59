"use strict";
// Draws the charts, says whether the page is live, and turns the pages of the big screen. All else
// is done by the server and htmx; without scripts pages still tell everything, in tables.
(() => {
  const green = "#1b5e3a", amber = "#c98a00", red = "#a11d1d", ink = "#1c2a22", line = "#d5ded8";
  const screen = document.body.classList.contains("screen");
  const size = () => (screen ? Math.round(window.innerHeight / 30) : 12);

  // option makes of what the server says what ECharts takes.
  function option(spec) {
    const text = { color: screen ? "#fff" : ink, fontSize: size() };
    const named = spec.series.length > 1;
    const series = spec.series.map((s, i) => ({
      name: s.name,
      type: spec.bars ? "bar" : "line",
      data: spec.labels ? s.values : s.points,
      showSymbol: false,
      connectNulls: false,
      color: screen ? "#8fd3a5" : [green, amber][i % 2],
      markLine: i === 0 && spec.limit != null ? {
        silent: true, symbol: "none", animation: false, lineStyle: { color: red, type: "dashed" },
        label: { formatter: spec.limit_name || "", position: "insideEndTop", color: red }, data: [{ yAxis: spec.limit }],
      } : undefined,
    }));
    const highest = Math.max(...spec.series.flatMap((s) => spec.labels ? s.values : s.points.map((p) => p[1])).filter((v) => v != null));
    return {
      useUTC: true, // times come as the community's clocks tell them
      animation: false,
      aria: { enabled: true },
      textStyle: text,
      grid: { left: 8, right: 16, top: named ? 32 : 16, bottom: 8, containLabel: true },
      legend: named ? { top: 0, right: 0, textStyle: text } : undefined,
      tooltip: screen ? undefined : { trigger: "axis", confine: true, valueFormatter: (v) => (v == null ? "–" : v + " " + (spec.unit || "")) },
      xAxis: spec.labels ? { type: "category", data: spec.labels, axisLabel: text } : { type: "time", axisLabel: text },
      yAxis: {
        type: "value", axisLabel: text, splitLine: { lineStyle: { color: screen ? "#2f7a50" : line } },
        max: spec.top != null && highest <= spec.top ? spec.top : spec.limit != null && highest < spec.limit ? spec.limit : undefined,
      },
      series,
    };
  }

  const drawn = new WeakMap(); // what each plot shows
  function draw() {
    for (const figure of document.querySelectorAll("figure.chart")) {
      const plot = figure.querySelector(".plot"), text = figure.querySelector("script").textContent;
      let chart = window.echarts.getInstanceByDom(plot);
      if (chart && drawn.get(plot) === text) continue;
      if (!chart) {
        chart = window.echarts.init(plot);
        new ResizeObserver(() => chart.resize()).observe(plot);
      }
      chart.setOption(option(JSON.parse(text)), true);
      drawn.set(plot, text);
    }
  }

  // The sign says whether news comes.
  function sign(live) {
    const p = document.querySelector(".livesign");
    if (!p) return;
    p.dataset.live ??= p.textContent;
    const says = live ? p.dataset.live : p.dataset.offline;
    if (p.textContent !== says) p.textContent = says;
    p.classList.toggle("offline", !live);
  }

  document.addEventListener("htmx:sse:after:connection", () => {
    const news = document.getElementById("news");
    if (sign.lost && news) htmx.trigger(news, "news"); // what was missed
    sign.lost = false;
    sign(true);
  });
  document.addEventListener("htmx:sse:error", (e) => {
    if (e.detail.status === 401 || e.detail.status === 403) window.location.reload(); // to log in
    sign.lost = true;
    sign(false);
  });
  // Who may no longer see the page, or was logged out, is sent where the server sends them; but for
  // the big screen, which nobody is at.
  document.addEventListener("htmx:response:error", (e) => {
    if (screen) return;
    const status = e.detail.ctx.response.status;
    if (status === 401 || (e.target.matches("#live") && (status === 403 || status === 404))) window.location.reload();
  });
  // A form is sent once, however often its button is pressed; again when one comes back to it.
  document.addEventListener("submit", (e) => {
    if (e.target.method !== "post") return;
    if (e.target.dataset.sent) e.preventDefault();
    e.target.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });
  document.addEventListener("htmx:after:swap", draw);
  draw();

  // The big screen turns its pages by itself. What it shows is in CSS, by the body's number, which
  // nothing that is fetched anew changes.
  if (screen) {
    let at = 0;
    const turn = () => {
      const panels = document.querySelectorAll(".panel");
      at = at + 1 < panels.length ? at + 1 : 0;
      document.body.dataset.at = String(at);
    };
    const every = Math.min(Number(new URLSearchParams(window.location.search).get("seconds")) || 12, 3600);
    document.addEventListener("htmx:after:swap", () => {
      if (at >= document.querySelectorAll(".panel").length) turn(); // there are fewer than before
    });
    // It is dark while its token is not valid. While anything else is wrong it keeps the last picture.
    document.addEventListener("htmx:after:request", (e) => {
      const answer = e.detail.ctx.response;
      if (answer) document.body.classList.toggle("dark", [401, 403, 404].includes(answer.status));
    });
    document.body.dataset.at = "0";
    setInterval(turn, Math.max(3, every) * 1000);
    // A page that was made by another version of the program has other scripts and styles.
    document.addEventListener("htmx:before:swap", (e) => {
      const text = e.detail.ctx && e.detail.ctx.text;
      const now = document.querySelector("link[rel=stylesheet]").getAttribute("href");
      if (typeof text === "string" && text.includes("pages.css") && !text.includes(now)) window.location.reload();
    });
  }
})();
