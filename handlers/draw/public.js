// The visitor's browser computes the draw again: protocol qunbot-draw-1, every
// byte of which is in docs/draw.md. SHA-256 is our own, because browsers keep
// theirs from pages that come over plain http.
(() => {
  "use strict";

  // SHA-256 (FIPS 180-4) of a Uint8Array.
  const K = new Uint32Array(64), H0 = new Uint32Array(8);
  for (let n = 2, found = 0; found < 64; n++) {
    let prime = true;
    for (let d = 2; d * d <= n; d++) if (n % d === 0) { prime = false; break; }
    if (!prime) continue;
    const bits = (root) => Math.floor((root - Math.floor(root)) * 4294967296);
    if (found < 8) H0[found] = bits(Math.sqrt(n));
    K[found++] = bits(Math.cbrt(n));
  }
  const W = new Uint32Array(64);
  const compress = (h, bytes, at) => {
    for (let i = 0; i < 16; i++, at += 4) W[i] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
    for (let i = 16; i < 64; i++) {
      const x = W[i - 15], y = W[i - 2];
      W[i] = (W[i - 16] + W[i - 7] + (((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3)) + (((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10))) | 0;
    }
    let [a, b, c, d, e, f, g, k] = h;
    for (let i = 0; i < 64; i++) {
      const t1 = (k + (((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7))) + ((e & f) ^ (~e & g)) + K[i] + W[i]) | 0;
      const t2 = ((((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      k = g; g = f; f = e; e = (d + t1) | 0; d = c; c = b; b = a; a = (t1 + t2) | 0;
    }
    h[0] += a; h[1] += b; h[2] += c; h[3] += d; h[4] += e; h[5] += f; h[6] += g; h[7] += k;
  };
  const sha256 = (bytes) => {
    const padded = new Uint8Array((((bytes.length + 8) >> 6) + 1) << 6);
    padded.set(bytes);
    padded[bytes.length] = 0x80;
    const end = new DataView(padded.buffer);
    end.setUint32(padded.length - 8, Math.floor(bytes.length / 536870912));
    end.setUint32(padded.length - 4, bytes.length << 3);
    const h = H0.slice();
    for (let at = 0; at < padded.length; at += 64) compress(h, padded, at);
    const out = new Uint8Array(32), view = new DataView(out.buffer);
    h.forEach((word, i) => view.setUint32(4 * i, word));
    return out;
  };

  // HMAC-SHA256 (RFC 2104).
  const hmac = (key, message) => {
    const block = new Uint8Array(64);
    block.set(key.length > 64 ? sha256(key) : key);
    return sha256(join([block.map((b) => b ^ 0x5c), sha256(join([block.map((b) => b ^ 0x36), message]))]));
  };

  const join = (parts) => {
    const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
    let at = 0;
    for (const p of parts) { out.set(p, at); at += p.length; }
    return out;
  };
  const number = (n) => new Uint8Array([n >>> 24, n >>> 16, n >>> 8, n]);
  const text = (s) => { const b = new TextEncoder().encode(s); return join([number(b.length), b]); };
  const hex = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
  const unhex = (s, length, what) => {
    if (typeof s !== "string" || s.length !== 2 * length || !/^[0-9a-f]*$/.test(s)) fail(`${what}：应该是 ${2 * length} 位十六进制小写数字，现在是「${s}」`);
    const out = new Uint8Array(length);
    for (let i = 0; i < length; i++) out[i] = parseInt(s.substr(2 * i, 2), 16);
    return out;
  };
  const fail = (message, entry) => { throw Object.assign(new Error(message), { entry }); };

  const PROTOCOL = "qunbot-draw-1", NO_SOURCE = "无", MAX = 1000000;
  const whole = (n, low, high) => Number.isInteger(n) && n >= low && n <= high;
  const fields = (o, names, what) => {
    if (typeof o !== "object" || o === null || Array.isArray(o)) fail(`这不是一份抽奖记录：${what}不完整`);
    for (const name of Object.keys(o)) if (!names.includes(name)) fail(`这不是一份抽奖记录：${what}里有不认识的字段 ${name}`);
    for (const name of names) if (!(name in o)) fail(`这不是一份抽奖记录：${what}里缺少字段 ${name}`);
  };

  const check = (r) => {
    fields(r, ["protocol", "id", "state", "rules", "commitment", "entries", "count", "chain", "public_value", "seed", "winners", "alternates", "reason"], "记录");
    if (r.protocol !== PROTOCOL) fail(`协议：应该是 ${PROTOCOL}，记录里是「${r.protocol}」`);
    if (!/^[0-9A-Za-z]{10}$/.test(r.id)) fail(`编号：应该是 10 位字母和数字，记录里是「${r.id}」`);
    const u = r.rules;
    fields(u, ["name", "organiser", "prizes", "conditions", "cost", "alternates", "created", "deadline", "claim", "source"], "规则");
    if (!u.name || !u.source) fail("规则不完整：要有名称和公证数的来源");
    for (const s of [u.name, u.organiser, u.created, u.deadline, u.claim, u.source, r.public_value, r.seed, r.chain, r.reason, ...u.conditions]) if (typeof s !== "string") fail("规则或记录里应该是文字的地方不是文字");
    let total = 0;
    u.prizes.forEach((p, i) => {
      fields(p, ["name", "count", "value_fen"], "奖品");
      if (typeof p.name !== "string" || !whole(p.count, 1, MAX) || !whole(p.value_fen, 0, 4294967295)) fail(`规则里第 ${i + 1} 种奖品的数量或价值不对`);
      total += p.count;
    });
    if (!whole(total, 1, MAX) || !whole(u.cost, 0, 4294967295) || !whole(u.alternates, 0, MAX)) fail("规则里的奖品总数、消耗积分或候补人数不对");
    const ranked = r.winners.length + r.alternates.length;
    switch (r.state) {
      case "open": case "closed": if (r.seed || ranked) fail("状态：还没有开奖，却已经有种子或中奖名单"); break;
      case "drawn": break;
      case "cancelled":
        if (!r.reason) fail("状态：取消了，却没有写原因");
        if (ranked) fail("状态：取消了，却有中奖名单");
        break;
      default: fail(`状态：不认识「${r.state}」`);
    }
    if (r.state !== "cancelled" && r.reason) fail("状态：没有取消，却写着取消的原因");
    if (u.source === NO_SOURCE && r.public_value) fail("公证数：规则里没有约定来源，记录里却有公证数");
    if (r.state === "drawn" && u.source !== NO_SOURCE && !r.public_value) fail("公证数：规则里约定了来源，记录里却没有公证数");
    return total;
  };

  const start = (r, commitment) => {
    const u = r.rules, parts = [text(PROTOCOL + " rules"), text(r.id), text(u.name), text(u.organiser), number(u.prizes.length)];
    for (const p of u.prizes) parts.push(text(p.name), number(p.count), number(p.value_fen));
    parts.push(number(u.conditions.length), ...u.conditions.map(text), number(u.cost), number(u.alternates));
    parts.push(text(u.created), text(u.deadline), text(u.claim), text(u.source), commitment);
    return sha256(join(parts));
  };

  // rank returns the first places of 1…entries, shuffled by the seed.
  const rank = (seed, r, chain, places) => {
    const message = join([text(PROTOCOL + " rank"), text(r.id), chain, text(r.public_value), number(0)]);
    const tail = new DataView(message.buffer, message.length - 4);
    let counter = 0;
    const below = (m) => {
      const limit = 4294967296 - (4294967296 % m);
      for (;;) {
        tail.setUint32(0, counter++);
        const out = hmac(seed, message), word = ((out[0] << 24) | (out[1] << 16) | (out[2] << 8) | out[3]) >>> 0;
        if (word < limit) return word % m;
      }
    };
    const moved = new Map(), at = (i) => (moved.has(i) ? moved.get(i) : i + 1), ranked = [];
    for (let i = 0; i < Math.min(places, r.count); i++) {
      const j = i + below(r.count - i);
      ranked.push(at(j));
      moved.set(j, at(i));
    }
    return ranked;
  };

  // verify computes a record again. It throws an error in words for the reader
  // that names the first thing that differs, and the entry it is about. step is
  // told which of the four steps has been computed; it may return a promise, so
  // that the page stays alive meanwhile. It returns whether there are winners.
  const verify = async (r, step = () => {}) => {
    const total = check(r), u = r.rules;
    const commitment = unhex(r.commitment, 32, "种子的承诺值");
    const over = r.state === "drawn" || r.state === "cancelled";
    let seed;
    if (over) {
      seed = unhex(r.seed, 32, "种子");
      const got = hex(sha256(seed));
      if (got !== r.commitment) fail(`种子：算出来的承诺值是 ${got}，记录里是 ${r.commitment}`);
    }
    await step(1);
    let chain = start(r, commitment);
    if (r.state === "open") return false;
    if (r.entries.length > MAX) fail(`报名：最多 ${MAX} 位，记录里有 ${r.entries.length} 位`);
    const seen = new Map(), link = new Uint8Array(52), count = new DataView(link.buffer, 32, 4);
    for (let i = 0; i < r.entries.length; i++) {
      const n = i + 1, e = r.entries[i];
      if (typeof e !== "object" || e === null || Object.keys(e).length !== 2) fail(`第 ${n} 位报名者：字段不对`, n);
      const who = unhex(e.pseudonym, 16, `第 ${n} 位报名者的代号`);
      if (seen.has(e.pseudonym)) fail(`第 ${seen.get(e.pseudonym)} 位和第 ${n} 位报名者是同一个代号`, n);
      seen.set(e.pseudonym, n);
      link.set(chain);
      count.setUint32(0, n);
      link.set(who, 36);
      chain = sha256(link);
      const got = hex(chain.subarray(0, 4));
      if (got !== e.code) fail(`第 ${n} 位报名者：算出来的核对码是 ${got}，记录里是「${e.code}」`, n);
      if (n % 2000 === 0) await step(1.5, n / r.entries.length);
    }
    if (r.entries.length !== r.count) fail(`报名人数：名单里有 ${r.entries.length} 位，截止时公布的是 ${r.count} 位`);
    if (hex(chain) !== r.chain) fail(`名单的校验值：算出来是 ${hex(chain)}，截止时公布的是「${r.chain}」`);
    await step(2);
    if (r.state !== "drawn") return false;
    await step(3);
    const ranked = rank(seed, r, chain, total + u.alternates), winners = [];
    u.prizes.forEach((p, i) => { for (let k = 0; k < p.count && winners.length < ranked.length; k++) winners.push({ prize: i + 1, entry: ranked[winners.length] }); });
    if (winners.length !== r.winners.length) fail(`中奖名单：应该有 ${winners.length} 位，记录里有 ${r.winners.length} 位`);
    winners.forEach((w, i) => {
      const is = r.winners[i];
      if (w.prize !== is.prize || w.entry !== is.entry) fail(`中奖名单第 ${i + 1} 行：应该是第 ${w.prize} 种奖品、第 ${w.entry} 位报名者，记录里是第 ${is.prize} 种奖品、第 ${is.entry} 位`);
    });
    const rest = ranked.slice(winners.length);
    if (rest.length !== r.alternates.length || rest.some((n, i) => n !== r.alternates[i])) fail(`候补名单：应该是 [${rest.join(" ")}]，记录里是 [${r.alternates.join(" ")}]`);
    await step(4);
    return true;
  };

  window.drawproof = { sha256, hmac, hex, verify };

  // The page.
  // Until the deadline its line counts down; a little after it the page asks
  // what has become of the draw.
  const timer = document.querySelector("[data-deadline]");
  const tick = () => {
    const left = Math.ceil((Number(timer.dataset.deadline) - Date.now()) / 1000);
    if (left <= 0) {
      timer.textContent = "报名截止了，正在封存名单……";
      setTimeout(() => location.reload(), 10000);
      return;
    }
    const two = (n) => String(n).padStart(2, "0");
    const days = Math.floor(left / 86400), hours = Math.floor(left / 3600) % 24;
    timer.textContent = `还有 ${days ? days + " 天 " : ""}${two(hours)}:${two(Math.floor(left / 60) % 60)}:${two(left % 60)} 截止报名`;
    setTimeout(tick, 1000);
  };
  if (timer) tick();

  const cert = document.querySelector(".cert[data-record]"), verdict = document.getElementById("verdict");
  if (!cert || !verdict) return;
  const steps = [...document.querySelectorAll("[data-step]")];
  const say = (kind, title, more) => {
    verdict.dataset.verdict = kind;
    verdict.replaceChildren(Object.assign(document.createElement("b"), { textContent: title }), Object.assign(document.createElement("span"), { textContent: more }));
  };
  const rest = () => new Promise((done) => setTimeout(done));
  let record, run = 0;

  const prove = async (r, changed) => {
    const mine = ++run, began = performance.now();
    let reached = 0;
    for (const s of steps) delete s.dataset.proof;
    document.querySelectorAll("tr.wrong").forEach((row) => row.classList.remove("wrong"));
    say("wait", "正在验证……", "在你的设备上重新算一遍");
    const step = async (n, part) => {
      if (mine !== run) throw Object.assign(new Error(), { stale: true });
      reached = Math.floor(n);
      if (Number.isInteger(n)) for (const s of steps) if (Number(s.dataset.step) <= n) s.dataset.proof = "good";
      if (part) { say("wait", "正在验证……", `报名者算到 ${Math.floor(part * 100)}%`); await rest(); }
    };
    try {
      const winners = await verify(r, step);
      const ms = Math.max(1, Math.round(performance.now() - began)), time = `用时 ${ms} 毫秒`;
      if (r.state !== cert.dataset.state) fail("这一页已经过时，请刷新");
      const shown = [...document.querySelectorAll("[data-winner]")].map((li) => Number(li.dataset.winner));
      if (winners && !changed && shown.join() !== r.winners.map((w) => w.entry).join()) fail("这一页写的中奖名单和记录里的不一样");
      const people = r.count.toLocaleString("zh-CN");
      if (winners) say("good", "✓ 已验证", `在你的设备上重新算了一遍：${people} 位报名，${r.winners.length} 位中奖，每一项都对得上。${time}`);
      else if (r.state === "cancelled") say("good", "✓ 种子和名单已验证", `这场抽奖取消了，没有中奖的人。${people} 位报名，种子和名单都对得上。${time}`);
      else say("part", "✓ 名单已验证，等开奖", `${people} 位报名，每个核对码和校验值都对得上。中奖名单要等开奖。${time}`);
    } catch (error) {
      if (error.stale) return;
      const next = steps.find((s) => Number(s.dataset.step) === Math.min(4, reached + 1));
      if (next) next.dataset.proof = "bad";
      if (error.entry) document.getElementById("e" + error.entry)?.classList.add("wrong");
      say("bad", changed ? "✗ 对不上了" : "✗ 验证没有通过", error.message || "记录不完整");
    }
  };

  const load = async () => {
    say("wait", "正在验证……", "正在取完整的记录");
    try {
      const answer = await fetch(cert.dataset.record);
      if (!answer.ok) throw new Error("HTTP " + answer.status);
      record = await answer.json();
    } catch (error) {
      say("bad", "没有取到记录", "网络断了，或服务正忙。请刷新再试。（" + error.message + "）");
      return;
    }
    await prove(record);
    if (record.entries.length) wire();
  };

  const entryOf = (form) => {
    const n = Number(form.elements.n.value.trim());
    return whole(n, 1, record.entries.length) ? n : 0;
  };
  const wire = () => {
    const look = document.querySelector("[data-tool=look]"), edit = document.querySelector("[data-tool=edit]");
    look.addEventListener("submit", (e) => {
      e.preventDefault();
      const n = entryOf(look), out = look.querySelector("output"), code = look.elements.code.value.trim().toLowerCase();
      out.dataset.found = "no";
      if (!n) out.textContent = `名单里只有第 1 到第 ${record.entries.length} 位。`;
      else if (record.entries[n - 1].code !== code) out.textContent = `对不上：第 ${n} 位的核对码不是 ${code || "空的"}。请看看报名时的回复；要是没有看错，请截图问主办方。`;
      else { out.dataset.found = "yes"; out.textContent = `✓ 第 ${n} 位就在名单里，核对码对得上。`; }
    });
    const fill = () => { const n = entryOf(edit); edit.elements.who.value = n ? record.entries[n - 1].pseudonym : ""; };
    const restore = edit.querySelector("[data-restore]");
    edit.elements.n.addEventListener("input", fill);
    fill();
    edit.addEventListener("submit", async (e) => {
      e.preventDefault();
      const n = entryOf(edit);
      if (!n) return fill();
      const entries = record.entries.slice();
      let who = edit.elements.who.value.trim().toLowerCase();
      if (who === entries[n - 1].pseudonym) who = (who[0] === "0" ? "1" : "0") + who.slice(1);
      edit.elements.who.value = who;
      entries[n - 1] = { ...entries[n - 1], pseudonym: who };
      restore.hidden = false;
      verdict.scrollIntoView({ block: "center" });
      await prove({ ...record, entries }, true);
    });
    restore.addEventListener("click", async () => {
      restore.hidden = true;
      fill();
      verdict.scrollIntoView({ block: "center" });
      await prove(record);
    });
  };
  load();
})();
