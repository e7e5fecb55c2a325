// The chat page: reads the state, follows the events, says what the tester
// types. Whatever people or bots say becomes text nodes, never markup.
import { blocks, el, forms, image, link, pictureAddress, plain, rich, webAddress } from './text.js';
import { makePanel } from './panel.js';
import { makeDesk } from './kf.js';

const $ = (id) => document.getElementById(id);
const TYPING_AFTER = 300; // ms; nothing is shown before
const GAP = 5 * 60 * 1000; // ms between two lines that earn a time above
const MAX_TRACES = 20; // shown of a chat

let world = null;
let me = '';
let chat = null;
let skew = 0; // ms that the platform's clock is ahead of ours
const lines = new Map(); // by id, in the order of saying
const traces = new Map();
const since = new Map(); // when we first saw a line waiting
const drafts = new Map(); // by key of the chat
const read = new Map(); // id of the last line seen, by person and chat

// ---- who and where -------------------------------------------------------

const person = (id) => world.people.find((p) => p.id === id);
const bot = (name) => world.bots.find((b) => b.name === name);
const nameOf = (id) => person(id)?.name ?? bot(id)?.display_name ?? id;
const keyOf = (c) => c?.key ?? c?.id; // a servicer has several chats of one account
const belongs = (x, c) => x.chat === c?.id && (!x.with || x.with === (c.with ?? me));
const visible = (x) => belongs(x, chat);
const inChat = (c) => [...lines.values()].filter((l) => belongs(l, c));
const mine = () => [...world.chats.filter((c) => c.members.includes(me) && (!c.quiet || inChat(c).length)), ...desk.chats()];
const alone = (c) => ['single', 'app', 'kf'].includes(c.kind); // nobody else is there
const hears = (c) => !!c?.bot && !!bot(c.bot)?.listens && c.kind !== 'serve' && c.kind !== 'appchat';
const speech = forms((id) => `@${nameOf(id)}`);
const mention = () => (chat?.kind === 'internal' && chat.bot ? `@${bot(chat.bot).display_name} ` : '');

const kinds = {
  internal: (c) => (c.bot ? `内部群：都是员工，能放机器人，它只听得到 @ 它的消息` : '内部群：都是员工，能放机器人，这个群没有放'),
  customer: () => '客户群（粉丝群）：有顾客，机器人进不来，会员从置顶的会员页参与',
  single: () => '单聊：只有你和机器人，每一句它都听得到，个人明细在这里查',
  app: (c) => (hears(c) ? '应用消息：应用发给你一个人的，你说的话它也收得到' : '应用消息：应用发给你一个人的，它听不到你说话'),
  appchat: () => '应用群聊：应用建的内部群，应用只能发，听不到',
  kf: () => '微信客服：顾客和商场一对一，每一句服务都收得到',
  serve: () => '客服会话：接待人员在企业微信里看到的',
};

// ---- time ----------------------------------------------------------------

let clock, calendar;
const setZone = (zone) => {
  const make = (options) => {
    try { return new Intl.DateTimeFormat('zh-CN', { ...options, timeZone: zone }); }
    catch { return new Intl.DateTimeFormat('zh-CN', options); }
  };
  clock = make({ hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
  calendar = make({ year: 'numeric', month: 'numeric', day: 'numeric', weekday: 'long' });
};
const dayOf = (at) => Object.fromEntries(calendar.formatToParts(at).map((p) => [p.type, p.value]));
const dayNumber = (d) => Date.UTC(+d.year, +d.month - 1, +d.day) / 86400000;
const when = (at, short, whole) => {
  const day = dayOf(at), today = dayOf(new Date(Date.now() + skew));
  const ago = dayNumber(today) - dayNumber(day), time = clock.format(at);
  if (whole) return `${day.month}月${day.day}日 ${day.weekday} ${time}`;
  if (ago === 0) return time;
  let date = `${day.month}月${day.day}日`;
  if (ago === 1) date = '昨天';
  else if (ago > 1 && ago < 7) date = day.weekday;
  else if (day.year !== today.year) date = `${day.year}年${date}`;
  return short ? date : `${date} ${time}`;
};

// ---- pictures ------------------------------------------------------------

const colour = (id) => {
  let sum = 7;
  for (const c of id) sum = (sum * 31 + c.codePointAt(0)) % 997;
  return `c${sum % 8}`;
};
const robot = () => $('robot').content.firstElementChild.cloneNode(true);
const face = (id, className) => {
  const f = bot(id) && bot(id).what !== 'kf' ? el('span', `${className} cbot`, robot()) : el('span', `${className} ${bot(id) ? 'cbot' : colour(id)}`, [...nameOf(id)].at(-1) ?? '');
  f.setAttribute('aria-hidden', 'true');
  return f;
};
const picture = (c) => {
  if (alone(c)) return face(c.bot, 'avatar');
  if (c.kind === 'serve') return face(c.with, 'avatar');
  const who = [...(c.bot ? [c.bot] : []), ...c.members].slice(0, 4);
  const f = el('span', 'avatar many', ...who.map((id) => face(id, '')));
  f.setAttribute('aria-hidden', 'true');
  return f;
};

// ---- the list ------------------------------------------------------------

const seen = (c) => `${me}/${keyOf(c)}`;
// summary is what the list shows of a line.
const summary = (l) => {
  if (l.text) return plain(l.text);
  if (l.system) return l.system;
  if (l.menu) return plain(l.menu.head_content || '[菜单]');
  if (l.articles) return `[图文] ${l.articles[0].title}`;
  if (l.file) return { voice: '[语音]', video: '[视频]' }[l.file.kind] ?? `[文件] ${l.file.name}`;
  if (l.card) return `[卡片] ${l.card.main_title?.title ?? ''}`.trim();
  if (l.images) return '[图片]';
  if (l.mentions) return l.mentions.join(' ');
  return l.error ? '[没有回答]' : l.note ? `[${l.note}]` : '…';
};
const showList = () => {
  const items = mine().map((c) => {
    const talk = inChat(c), last = talk.at(-1);
    const unread = last && keyOf(c) !== keyOf(chat) && read.get(seen(c)) !== last.id;
    const who = last && !alone(c) && !last.system && last.who !== me ? `${nameOf(last.who)}：` : '';
    const words = last ? who + summary(last) : '';
    const name = el('span', 'name', c.name);
    const tag = { customer: '外部', kf: '客服', serve: '客服会话', appchat: '应用群' }[c.kind];
    const outer = tag ? [el('span', `tag ${c.kind === 'appchat' ? 'bot' : 'outer'}`, tag)] : [];
    const time = el('time', '', last ? when(new Date(last.at), true) : '');
    const button = el('button', 'chat', picture(c), el('span', 'about-chat',
      el('span', 'first', name, ...outer, time),
      el('span', 'second', el('span', 'last', words), ...(unread ? [el('span', 'unread', el('span', 'away', '有新消息'))] : []))));
    button.type = 'button';
    button.dataset.test = 'chat';
    button.dataset.chat = keyOf(c);
    if (keyOf(c) === keyOf(chat)) button.setAttribute('aria-current', 'true');
    button.onclick = () => { location.hash = `chat=${encodeURIComponent(keyOf(c))}`; };
    return el('li', '', button);
  });
  const focused = document.activeElement?.dataset?.chat;
  $('chats').replaceChildren(...items);
  if (focused) $('chats').querySelector(`[data-chat="${CSS.escape(focused)}"]`)?.focus();
};

// ---- the talk ------------------------------------------------------------

const show = (l) => {
  if (l.system) {
    const item = el('li', 'when', l.system);
    item.id = l.id;
    return item;
  }
  const own = l.who === me, isBot = !!bot(l.who);
  const body = el('div', 'body');
  if (!own && !alone(chat)) {
    const who = el('span', 'who', nameOf(l.who));
    if (person(l.who)?.kind === 'external_userid') who.append(el('span', 'outside', ' @微信'));
    if (isBot) who.append(' ', el('span', 'tag bot', { app: '应用', kf: '自动' }[bot(l.who).what] ?? '机器人'));
    body.append(who);
  } else body.append(el('span', 'away', own ? '我说：' : `${nameOf(l.who)}：`));
  if (l.text || l.images || l.growing || l.mentions) {
    const bubble = el('div', 'bubble');
    if (l.form === 'markdown_v2') {
      bubble.classList.add('md');
      bubble.append(...blocks(l.text));
    } else bubble.append(...rich(l.text ?? '', speech[l.form || (isBot ? 'bot' : 'person')]));
    if (l.mentions) bubble.append(l.text ? ' ' : '', ...l.mentions.flatMap((at, i) => [i ? ' ' : '', el('span', 'at', at)]));
    for (const src of l.images ?? []) if (pictureAddress(src)) bubble.append(image(src));
    if (l.images && !l.text) bubble.classList.add('picture');
    if (l.growing) bubble.append(el('span', 'dots', el('i'), el('i'), el('i')));
    body.append(bubble);
  }
  if (l.articles) body.append(articles(l.articles));
  if (l.file) body.append(file(l.file));
  if (l.menu) body.append(desk.menu(l));
  if (l.card) body.append(card(l));
  if (l.note) body.append(el('p', 'note', l.note));
  if (l.error) body.append(el('p', 'error', l.error));
  const item = el('li', own ? 'line own' : 'line', face(l.who, 'avatar'), body);
  item.id = l.id;
  item.dataset.test = 'line';
  item.dataset.who = l.who;
  item.dataset.id = l.id;
  if (l.reply_to) item.dataset.replyTo = l.reply_to;
  if (l.deliveries) item.dataset.deliveries = l.deliveries;
  item.title = when(new Date(l.at));
  return item;
};

// hushNotes leaves a note only under the last of the lines in a row that
// have the same one.
const hushNotes = () => {
  let later = null;
  for (const item of [...$('lines').children].reverse()) {
    const note = item.querySelector('.note');
    if (note) note.hidden = note.textContent === later;
    if (item.classList.contains('line')) later = note?.textContent ?? null;
  }
};

const divider = (at) => el('li', 'when', el('time', '', when(at)));
const atBottom = () => $('lines').scrollHeight - $('lines').scrollTop - $('lines').clientHeight < 80;
let stuck = true; // at the end, also while pictures there are loading
$('lines').onscroll = () => { stuck = atBottom(); };
$('lines').addEventListener('load', () => { if (stuck) toBottom(); }, true);
const toBottom = () => { $('lines').scrollTop = $('lines').scrollHeight; };

const showTalk = () => {
  const log = $('lines'), talk = chat ? inChat(chat) : [];
  log.setAttribute('aria-live', 'off'); // what was said before is not news
  log.replaceChildren();
  let last = 0;
  for (const l of talk) {
    const at = new Date(l.at);
    if (at - last > GAP) log.append(divider(at));
    last = at;
    log.append(show(l));
  }
  if (!talk.length) log.append(el('li', 'nothing', chat ? (hears(chat) && world.chips?.length ? '还没有人说话。点下面的一个词，或者自己说一句。' : '还没有人说话。') : '这个人不在任何聊天里。'));
  if (talk.length) read.set(seen(chat), talk.at(-1).id);
  hushNotes();
  showTyping();
  toBottom();
  requestAnimationFrame(() => log.setAttribute('aria-live', 'polite'));
};

const applyLine = (l) => {
  const known = lines.get(l.id);
  if (known && known.rev > l.rev) return;
  lines.set(l.id, l);
  if (!world) return; // load shows it
  if (l.waiting) { if (!since.has(l.id)) since.set(l.id, Date.now()); } else since.delete(l.id);
  if (visible(l)) {
    const log = $('lines'), stick = stuck || atBottom() || l.who === me && !known;
    const old = document.getElementById(l.id);
    if (old) old.replaceWith(show(l));
    else {
      const before = inChat(chat).at(-2), at = new Date(l.at);
      log.querySelector('.nothing')?.remove();
      log.querySelector('.typing')?.remove();
      if (!before || at - new Date(before.at) > GAP) log.append(divider(at));
      const item = show(l);
      item.classList.add('fresh');
      log.append(item);
      read.set(seen(chat), l.id);
    }
    hushNotes();
    showTyping();
    if (stick) toBottom();
  }
  showList();
  showDeeds();
};

const showTyping = () => {
  const log = $('lines'), old = log.querySelector('.typing');
  const waits = hears(chat) ? inChat(chat).filter((l) => l.waiting && since.has(l.id)) : [];
  const age = Math.max(-1, ...waits.map((l) => Date.now() - since.get(l.id)));
  if (age < TYPING_AFTER) {
    old?.remove();
    if (waits.length) setTimeout(showTyping, TYPING_AFTER - age + 5);
    return;
  }
  if (old) { if (old !== log.lastElementChild) log.append(old); return; }
  const stick = atBottom();
  const item = el('li', 'line typing', face(chat.bot, 'avatar'),
    el('div', 'body', el('div', 'bubble', el('span', 'away', `${nameOf(chat.bot)}正在回答`), el('span', 'dots', el('i'), el('i'), el('i')))));
  log.append(item);
  if (stick) toBottom();
};

// ---- files and articles ---------------------------------------------------

const size = (n) => (n < 1024 ? `${n} B` : n < 1 << 20 ? `${(n / 1024).toFixed(1)} KB` : `${(n / (1 << 20)).toFixed(1)} MB`);
const file = (f) => {
  const a = el('a', 'file', el('span', '', el('b', '', f.name), el('small', '', `${{ voice: '语音', video: '视频' }[f.kind] ?? '文件'} · ${size(f.bytes)}`)), $('paper').content.firstElementChild.cloneNode(true));
  a.href = f.url;
  a.download = f.name;
  return a;
};
// articles shows one as a card, several as a picture with a title on it and a
// list below.
const articles = (all) => {
  const node = el('div', 'card news');
  all.forEach((a, i) => {
    const src = pictureAddress(a.picurl), single = all.length === 1, inner = [];
    if (i === 0) {
      if (src) inner.push(image(src, 'picture', ''));
      inner.push(el('div', 'words', el('div', 'head-title', a.title), ...(single && a.description ? [el('div', 'sub', a.description)] : [])));
    } else inner.push(el('div', 'words', a.title), ...(src ? [image(src, 'thumb', '')] : []));
    node.append(linkOr('div', i === 0 ? 'article first' : 'article', { type: 1, url: a.url }, ...inner));
  });
  return node;
};

// ---- cards ---------------------------------------------------------------

const chevron = () => document.querySelector('.pinned svg:last-child').cloneNode(true);
const linkOr = (tag, className, action, ...children) => {
  const href = action?.type === 1 && webAddress(action.url ?? '');
  if (!href) return el(tag, className, ...children);
  const a = link('', href);
  a.className = className;
  a.replaceChildren(...children);
  return a;
};

const card = (l) => {
  const c = l.card, inner = [];
  const put = (className, text) => { if (text) inner.push(el('div', className, text)); };
  put('source', c.source?.desc);
  put('head-title', c.main_title?.title);
  put('sub', c.main_title?.desc);
  if (c.emphasis_content?.title) inner.push(el('div', 'big', el('b', '', c.emphasis_content.title), el('span', 'sub', c.emphasis_content.desc ?? '')));
  put('sub', c.sub_title_text);
  if (c.image_text_area) inner.push(el('div', 'said', el('b', '', c.image_text_area.title ?? ''), el('div', 'sub', c.image_text_area.desc ?? '')));
  if (c.quote_area) inner.push(el('div', 'said', el('b', '', c.quote_area.title ?? ''), el('div', 'sub', c.quote_area.quote_text ?? '')));
  for (const v of c.vertical_content_list ?? []) inner.push(el('div', 'said', el('b', '', v.title ?? ''), el('div', 'sub', v.desc ?? '')));
  if (c.horizontal_content_list?.length) {
    inner.push(el('dl', '', ...c.horizontal_content_list.flatMap((h) => [
      el('dt', '', h.keyname),
      el('dd', '', h.type === 3 ? nameOf(h.userid) : h.value ?? ''),
    ])));
  }
  const node = el('div', 'card');
  const src = pictureAddress(c.card_image?.url);
  if (src) node.append(image(src, 'picture', ''));
  node.append(linkOr('div', 'inner', c.card_action, ...inner));
  for (const j of c.jump_list ?? []) node.append(linkOr('div', 'jump', j, el('span', '', j.title), chevron()));
  const press = (b) => {
    const button = el('button', `press ${b.style === 1 || !b.style ? 'main' : b.style === 2 ? 'danger' : ''}`, b.text);
    button.type = 'button';
    button.disabled = !b.key;
    button.dataset.test = 'press';
    button.onclick = () => call('press', { line: l.id, person: me, key: b.key }).catch(trouble('trouble'));
    return button;
  };
  for (const b of [...(c.button_list ?? []), ...(c.action_menu?.action_list ?? [])]) node.append(press(b));
  if (c.checkbox || c.select_list || c.button_selection) node.append(el('p', 'foot', '这张卡片要选择后提交，模拟器还不能提交'));
  return node;
};

// ---- backstage -----------------------------------------------------------

const states = { good: '✓', bad: '✗', warn: '!', pending: '…' };
const words = { good: '成功', bad: '失败', warn: '注意', pending: '进行中' };
const figure = (ms) => {
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`;
  return `${ms.toFixed(ms >= 100 ? 0 : ms >= 10 ? 1 : 2)} ms`;
};
const opened = new Map(); // by id of the trace: folded or not by hand
const mark = (state) => {
  const m = el('span', `state ${state}`, states[state] ?? '·');
  m.setAttribute('role', 'img');
  m.setAttribute('aria-label', words[state] ?? '');
  return m;
};
const totalOf = (t) => {
  const timed = t.rows.filter((r) => !r.level && r.ms != null);
  return timed.length ? `　${figure(timed.reduce((sum, r) => sum + r.ms, 0))}` : '';
};

const showTraces = () => {
  const all = [...traces.values()].filter(visible).slice(-MAX_TRACES).reverse();
  const scroll = $('behind').scrollTop;
  $('traces').replaceChildren(...all.map((t, i) => {
    const longest = Math.max(0.001, ...t.rows.map((r) => r.ms ?? 0));
    const rows = t.rows.map((r) => {
      const step = el('div', `step ${r.state ?? ''} ${r.level ? 'reported' : ''}`,
        el('span', 'name', r.name), el('span', 'detail', r.detail ?? ''), el('span', 'ms', r.ms == null ? '' : figure(r.ms)));
      const fill = el('i'), bar = el('div', 'bar', fill);
      if (r.ms == null) fill.hidden = true;
      else fill.style.width = `${(100 * r.ms) / longest}%`;
      step.append(bar);
      return step;
    });
    const node = el('details', 'trace',
      el('summary', '', mark(t.state), el('span', 'what', t.title), el('span', 'figures', `${when(new Date(t.at))}${totalOf(t)}`)),
      el('div', 'rows', ...rows));
    if (t.wire?.length) {
      const wires = el('details', 'wires', el('summary', '', '看线路上的字节'), ...t.wire.flatMap((w) => [el('h3', '', w.title), el('pre', '', w.text)]));
      wires.open = opened.get(`${t.id} wire`) ?? false;
      wires.ontoggle = () => opened.set(`${t.id} wire`, wires.open);
      node.append(wires);
    }
    node.open = opened.get(t.id) ?? i === 0;
    node.firstElementChild.onclick = () => opened.set(t.id, !node.open);
    return node;
  }));
  if (!all.length) $('traces').replaceChildren(el('p', 'unseen', chat && !chat.bot && !chat.robot ? '这里没有机器人，所以没有东西要投递。' : '对机器人说一句，这里会一步步列出平台怎样把它送到服务，又收到什么。'));
  $('behind').scrollTop = scroll;
  const t = all[0];
  $('latest').replaceChildren(...(t ? [mark(t.state), ` ${t.title}${totalOf(t)}`] : ['看一条消息是怎样送到的']));
};

const applyTrace = (t) => {
  const known = traces.get(t.id);
  if (known && known.rev > t.rev) return;
  traces.set(t.id, t);
  if (world && visible(t)) showTraces();
};

const lastHeard = () => (chat ? inChat(chat).findLast((l) => l.heard && !bot(l.who)) : null);
const showDeeds = () => {
  const l = lastHeard();
  $('redeliver').disabled = !l || !!l.waiting;
  $('plug').hidden = !world.plug;
  $('unplug').disabled = !hears(chat);
};
const showVerified = () => {
  const problem = chat?.bot ? world.verified[bot(chat.bot).verified_as] : null;
  $('verified').className = problem ? 'bad' : 'good';
  $('verified').textContent = problem == null ? '' : problem ? `✗ 回调地址没有通过验证：${problem}` : '✓ 回调地址已验证';
};

// ---- saying --------------------------------------------------------------

const call = async (name, ask) => {
  let response;
  try {
    response = await fetch(`api/${name}`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(ask) });
  } catch {
    throw new Error('连不上模拟器，请看看它是否还在运行。');
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error ?? `模拟器回答了 HTTP ${response.status}`);
  return answer;
};
const trouble = (id) => (err) => {
  $(id).textContent = err?.message ?? '';
  $(id).hidden = !err;
};

const input = $('input');
const grow = () => {
  input.style.height = 'auto';
  input.style.height = `${input.scrollHeight + 2}px`;
};
const write = (text) => {
  input.value = text;
  drafts.set(keyOf(chat), text);
  grow();
};
const bare = () => input.value.trim() === '' || input.value.trim() === mention().trim();

const say = async (text) => {
  const to = chat, from = me;
  trouble('trouble')(null);
  try {
    applyLine(await call('say', { chat: to.id, person: from, with: to.with ?? '', text }));
    return true;
  } catch (err) {
    trouble('trouble')(err);
    return false;
  }
};

$('composer').onsubmit = async (event) => {
  event.preventDefault();
  if (!chat) return;
  const text = input.value, to = chat;
  write(mention());
  input.focus();
  if (!(await say(text)) && chat === to && bare()) write(text);
};
let sending = false; // by the Enter that is down, which must not break the line too
input.onkeydown = (event) => {
  sending = false;
  // keyCode 229: some browsers end a composition before this event.
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  sending = true;
  $('composer').requestSubmit();
};
input.onbeforeinput = (event) => { if (sending && event.inputType === 'insertLineBreak') event.preventDefault(); };
input.onkeyup = () => { sending = false; };
input.oninput = () => {
  drafts.set(keyOf(chat), input.value);
  trouble('trouble')(null);
  grow();
};

$('redeliver').onclick = () => {
  trouble('deed-trouble')(null);
  const l = lastHeard();
  if (l) call('redeliver', { line: l.id }).catch(trouble('deed-trouble'));
};
$('unplug').onclick = async () => {
  trouble('deed-trouble')(null);
  const text = bare() ? `${mention()}签到` : input.value;
  $('unplug').disabled = true;
  try {
    applyLine(await call('unplug', { chat: chat.id, person: me, text }));
    write(mention());
  } catch (err) {
    trouble('deed-trouble')(err);
  } finally {
    showDeeds();
  }
};
$('fold').onclick = () => {
  const stick = atBottom();
  $('fold').setAttribute('aria-expanded', String($('fold').getAttribute('aria-expanded') !== 'true'));
  if (stick) toBottom();
};

// ---- going around --------------------------------------------------------

const showChat = () => {
  $('title').textContent = chat ? chat.name + (alone(chat) || chat.kind === 'serve' ? '' : `（${chat.members.length + (chat.bot && chat.kind !== 'appchat' ? 1 : 0)}）`) : '';
  $('kind').textContent = chat ? kinds[chat.kind](chat) : '';
  $('pinned').hidden = !(chat?.pinned && webAddress(new URL(chat.pinned.url, location.href).href));
  if (!$('pinned').hidden) {
    $('pinned').href = chat.pinned.url;
    $('pinned').querySelector('span').textContent = `置顶：${chat.pinned.title}`;
  }
  $('notice').hidden = !chat?.notice;
  $('notice').open = false;
  $('notice').querySelector('summary').textContent = `群公告：${chat?.notice ?? ''}`;
  $('notice').querySelector('p').textContent = chat?.notice ?? '';
  $('chips').replaceChildren(...(hears(chat) ? world.chips ?? [] : []).map((text) => {
    const chip = el('button', 'chip', text);
    chip.type = 'button';
    chip.dataset.test = 'chip';
    chip.onclick = () => say(mention() + text);
    return chip;
  }));
  $('hint').textContent = mention() ? `Enter 发送，Shift + Enter 换行。删掉「${mention().trim()}」，机器人就听不到了。` : 'Enter 发送，Shift + Enter 换行。';
  trouble('trouble')(null);
  trouble('deed-trouble')(null);
  write(drafts.get(keyOf(chat)) ?? mention());
  input.disabled = !chat;
  desk.show();
  showTalk();
  showList();
  showTraces();
  showDeeds();
  showVerified();
};

const route = () => {
  if (!world || desk.fromHash()) return;
  const wanted = new URLSearchParams(location.hash.slice(1)).get('chat');
  const before = chat;
  chat = mine().find((c) => keyOf(c) === wanted) ?? (location.hash === '#list' ? mine().find((c) => keyOf(c) === keyOf(before)) : null) ?? mine()[0] ?? null;
  $('app').dataset.view = location.hash === '#list' || !chat ? 'list' : 'chat';
  showChat();
  if (['single', 'app'].includes(chat?.kind) && $('app').dataset.view === 'chat') call('open', { chat: chat.id, person: me }).catch(trouble('trouble'));
};

const showMe = () => {
  const group = (label, kind) => {
    const people = world.people.filter((p) => p.kind === kind).map((p) => {
      const option = el('option', '', p.name + (p.role ? ` · ${p.role}` : ''));
      option.value = p.id;
      option.selected = p.id === me;
      return option;
    });
    const g = el('optgroup', '', ...people);
    g.label = label;
    return people.length ? [g] : [];
  };
  $('me').replaceChildren(...group('员工', 'userid'), ...group('顾客', 'external_userid'));
};
$('me').onchange = () => {
  me = $('me').value;
  drafts.clear();
  call('me', { person: me }).catch(trouble('trouble'));
  if (chat && !mine().some((c) => keyOf(c) === keyOf(chat))) history.replaceState(null, '', '#');
  route();
};

// merge puts what the state has into what the events brought, in the order
// of the ids.
const merge = (into, all) => {
  for (const x of all) if (!(into.get(x.id)?.rev > x.rev)) into.set(x.id, x);
  const sorted = [...into.values()].sort((a, b) => a.id.slice(1) - b.id.slice(1));
  into.clear();
  for (const x of sorted) into.set(x.id, x);
};

const load = async () => {
  let fresh;
  try {
    const response = await fetch('api/state', { cache: 'no-store' });
    if (!response.ok) throw new Error();
    fresh = await response.json();
  } catch {
    $('offline').hidden = false;
    return;
  }
  if (world && world.instance !== fresh.instance) { // another world now
    location.reload();
    return;
  }
  const first = !world, key = keyOf(chat);
  world = fresh;
  skew = new Date(world.now) - Date.now();
  setZone(world.zone);
  merge(lines, world.lines ?? []);
  merge(traces, world.traces ?? []);
  for (const l of lines.values()) if (l.waiting && !since.has(l.id)) since.set(l.id, Date.now());
  if (!person(me)) {
    me = world.me || world.people[0]?.id || '';
    if (me && !world.me) call('me', { person: me }).catch(() => {});
  }
  if (first) for (const p of world.people) for (const c of world.chats) {
    const talk = [...lines.values()].filter((l) => l.chat === c.id && (!l.with || l.with === p.id));
    if (talk.length) read.set(`${p.id}/${c.id}`, talk.at(-1).id);
  }
  chat = mine().find((c) => keyOf(c) === key) ?? null;
  showMe();
  route();
  panel.show();
  document.body.dataset.ready = 'true';
};

const follow = () => {
  const events = new EventSource('api/events');
  let late;
  events.addEventListener('hello', () => {
    clearTimeout(late);
    late = undefined;
    $('offline').hidden = true;
    load();
  });
  events.addEventListener('line', (e) => applyLine(JSON.parse(e.data)));
  events.addEventListener('trace', (e) => applyTrace(JSON.parse(e.data)));
  events.addEventListener('chat', (e) => {
    if (!world) return;
    const changed = JSON.parse(e.data), i = world.chats.findIndex((c) => c.id === changed.id);
    if (i < 0) world.chats.push(changed);
    else world.chats[i] = changed;
    if (chat?.id === changed.id) route();
    else showList();
  });
  events.addEventListener('panel', (e) => {
    if (!world) return;
    world.panel = JSON.parse(e.data);
    skew = new Date(world.panel.now) - Date.now();
    panel.show();
  });
  events.addEventListener('sessions', (e) => {
    if (!world) return;
    Object.assign(world, JSON.parse(e.data));
    desk.changed();
  });
  events.addEventListener('verified', (e) => {
    if (!world) return;
    world.verified = JSON.parse(e.data);
    showVerified();
  });
  events.onerror = () => {
    late ??= setTimeout(() => { $('offline').hidden = false; }, 1000);
    if (events.readyState === EventSource.CLOSED) setTimeout(() => { events.close(); follow(); }, 2000);
  };
};

const panel = makePanel({ call, nameOf, world: () => world, now: () => new Date(Date.now() + skew), calendar: (at) => when(at, false, true) });
const desk = makeDesk({
  call, nameOf, route, showList, trouble, applyLine,
  world: () => world, me: () => me, chat: () => chat, lines,
  opened: () => { chat = mine().find((c) => keyOf(c) === keyOf(chat)) ?? chat; },
});

window.addEventListener('hashchange', route);
follow();
