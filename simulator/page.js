// The chat page: reads the state, follows the events, says what the tester
// types. Whatever people or bots say becomes text nodes, never markup.
(() => {
  'use strict';

  const $ = (id) => document.getElementById(id);
  const el = (tag, className, ...children) => {
    const node = document.createElement(tag);
    if (className) node.className = className;
    node.append(...children);
    return node;
  };
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
  const drafts = new Map(); // by chat
  const read = new Map(); // id of the last line seen, by person and chat

  // ---- who and where -------------------------------------------------------

  const person = (id) => world.people.find((p) => p.id === id);
  const bot = (name) => world.bots.find((b) => b.name === name);
  const nameOf = (id) => person(id)?.name ?? bot(id)?.display_name ?? id;
  const mine = () => world.chats.filter((c) => c.members.includes(me));
  const visible = (x) => x.chat === chat?.id && (!x.with || x.with === me);
  const inChat = (c) => [...lines.values()].filter((l) => l.chat === c.id && (!l.with || l.with === me));
  const mention = () => (chat?.kind === 'internal' && chat.bot ? `@${bot(chat.bot).display_name} ` : '');

  const kinds = {
    internal: (c) => (c.bot ? `内部群：都是员工，能放机器人，它只听得到 @ 它的消息` : '内部群：都是员工，能放机器人，这个群没有放'),
    customer: () => '客户群（粉丝群）：有顾客，机器人进不来，会员从置顶的会员页参与',
    single: () => '单聊：只有你和机器人，每一句它都听得到，个人明细在这里查',
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
  const when = (at, short) => {
    const day = dayOf(at), today = dayOf(new Date(Date.now() + skew));
    const ago = dayNumber(today) - dayNumber(day), time = clock.format(at);
    if (ago === 0) return time;
    let date = `${day.month}月${day.day}日`;
    if (ago === 1) date = '昨天';
    else if (ago > 1 && ago < 7) date = day.weekday;
    else if (day.year !== today.year) date = `${day.year}年${date}`;
    return short ? date : `${date} ${time}`;
  };

  // ---- words ---------------------------------------------------------------

  const link = (text, href) => {
    const a = el('a', '', text);
    a.href = href;
    a.target = '_blank';
    a.rel = 'noopener';
    return a;
  };
  const webAddress = (href) => {
    try { return ['http:', 'https:'].includes(new URL(href).protocol) ? href : null; }
    catch { return null; }
  };
  const PATTERN = /\*\*([^*\n]+)\*\*|\[([^\]\n]+)\]\((https?:\/\/[^\s)]+)\)|(https?:\/\/[^\s<>"'，。！？；：、（）「」『』【】]+)/g;

  // inline returns nodes for one line: links for all, bold and named links for
  // bots.
  const inline = (text, markdown) => {
    const nodes = [];
    let from = 0;
    for (const m of text.matchAll(PATTERN)) {
      let [whole, bold, label, named, bare] = m, node = null;
      if (bare) {
        whole = bare = bare.replace(/[.,;:!?)\]]+$/, '');
        node = webAddress(bare) && link(bare, bare);
      } else if (markdown && bold) node = el('strong', '', ...inline(bold, true));
      else if (markdown && named) node = webAddress(named) && link(label, named);
      if (!node) continue;
      nodes.push(text.slice(from, m.index), node);
      from = m.index + whole.length;
    }
    nodes.push(text.slice(from));
    return nodes;
  };

  // rich returns nodes for a text; the line breaks are kept by the style sheet.
  const rich = (text, markdown) => text.split('\n').flatMap((row, i) => {
    const before = i ? ['\n'] : [];
    const heading = markdown && /^#{1,6}\s+(.*)$/.exec(row);
    if (heading) return [...before, el('strong', '', ...inline(heading[1], true))];
    const quote = markdown && /^>\s?(.*)$/.exec(row);
    if (quote) return [...before, el('span', 'quote', ...inline(quote[1], true))];
    return [...before, ...inline(row, markdown)];
  });

  const plain = (text) => text.replace(/\*\*([^*\n]+)\*\*/g, '$1').replace(/\[([^\]\n]+)\]\([^)\s]+\)/g, '$1').replace(/\s+/g, ' ');

  // ---- pictures ------------------------------------------------------------

  const colour = (id) => {
    let sum = 7;
    for (const c of id) sum = (sum * 31 + c.codePointAt(0)) % 997;
    return `c${sum % 8}`;
  };
  const robot = () => $('robot').content.firstElementChild.cloneNode(true);
  const face = (id, className) => {
    const f = bot(id) ? el('span', `${className} cbot`, robot()) : el('span', `${className} ${colour(id)}`, [...nameOf(id)].at(-1) ?? '');
    f.setAttribute('aria-hidden', 'true');
    return f;
  };
  const picture = (c) => {
    if (c.kind === 'single') return face(c.bot, 'avatar');
    const who = [...(c.bot ? [c.bot] : []), ...c.members].slice(0, 4);
    const f = el('span', 'avatar many', ...who.map((id) => face(id, '')));
    f.setAttribute('aria-hidden', 'true');
    return f;
  };

  // ---- the list ------------------------------------------------------------

  const seen = (c) => `${me}/${c.id}`;
  const showList = () => {
    const items = mine().map((c) => {
      const talk = inChat(c), last = talk.at(-1);
      const unread = last && c !== chat && read.get(seen(c)) !== last.id;
      const who = last && c.kind !== 'single' && last.who !== me ? `${nameOf(last.who)}：` : '';
      const words = last ? who + (last.text ? plain(last.text) : last.card ? '[卡片]' : last.images ? '[图片]' : last.error ? '[没有回答]' : '…') : '';
      const name = el('span', 'name', c.name);
      const outer = c.kind === 'customer' ? [el('span', 'tag outer', '外部')] : [];
      const time = el('time', '', last ? when(new Date(last.at), true) : '');
      const button = el('button', 'chat', picture(c), el('span', 'about-chat',
        el('span', 'first', name, ...outer, time),
        el('span', 'second', el('span', 'last', words), ...(unread ? [el('span', 'unread', el('span', 'away', '有新消息'))] : []))));
      button.type = 'button';
      button.dataset.test = 'chat';
      button.dataset.chat = c.id;
      if (c === chat) button.setAttribute('aria-current', 'true');
      button.onclick = () => { location.hash = `chat=${encodeURIComponent(c.id)}`; };
      return el('li', '', button);
    });
    const focused = document.activeElement?.dataset?.chat;
    $('chats').replaceChildren(...items);
    if (focused) $('chats').querySelector(`[data-chat="${CSS.escape(focused)}"]`)?.focus();
  };

  // ---- the talk ------------------------------------------------------------

  const show = (l) => {
    const own = l.who === me, isBot = !!bot(l.who);
    const body = el('div', 'body');
    if (!own && chat.kind !== 'single') {
      const who = el('span', 'who', nameOf(l.who));
      if (person(l.who)?.kind === 'external_userid') who.append(el('span', 'outside', ' @微信'));
      if (isBot) who.append(' ', el('span', 'tag bot', '机器人'));
      body.append(who);
    } else body.append(el('span', 'away', own ? '我说：' : `${nameOf(l.who)}：`));
    if (l.text || l.images || l.growing) {
      const bubble = el('div', 'bubble', ...rich(l.text ?? '', isBot));
      for (const src of l.images ?? []) {
        const img = el('img');
        img.src = src;
        img.alt = '图片';
        bubble.append(img);
      }
      if (l.growing) bubble.append(el('span', 'dots', el('i'), el('i'), el('i')));
      body.append(bubble);
    }
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
    if (!talk.length) log.append(el('li', 'nothing', chat ? (chat.bot && world.chips?.length ? '还没有人说话。点下面的一个词，或者自己说一句。' : '还没有人说话。') : '这个人不在任何聊天里。'));
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
      const log = $('lines'), stick = atBottom() || l.who === me && !known;
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
    const waits = chat?.bot ? inChat(chat).filter((l) => l.waiting && since.has(l.id)) : [];
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
    const src = c.card_image && webAddress(c.card_image.url);
    if (src) {
      const img = el('img', 'picture');
      img.src = src;
      img.alt = '';
      node.append(img);
    }
    node.append(linkOr('div', 'inner', c.card_action, ...inner));
    for (const j of c.jump_list ?? []) node.append(linkOr('div', 'jump', j, el('span', '', j.title), chevron()));
    const press = (b) => {
      const button = el('button', `press ${b.style === 1 || !b.style ? 'main' : b.style === 2 ? 'danger' : ''}`, b.text);
      button.type = 'button';
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
  const totalOf = (t) => t.rows.filter((r) => !r.level && r.ms != null).reduce((sum, r) => sum + r.ms, 0);

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
        el('summary', '', mark(t.state), el('span', 'what', t.title), el('span', 'figures', `${when(new Date(t.at))}　${figure(totalOf(t))}`)),
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
    if (!all.length) $('traces').replaceChildren(el('p', 'unseen', chat && !chat.bot ? '这里没有机器人，所以没有东西要投递。' : '对机器人说一句，这里会一步步列出平台怎样把它送到服务，又收到什么。'));
    $('behind').scrollTop = scroll;
    const t = all[0];
    $('latest').replaceChildren(...(t ? [mark(t.state), ` ${t.title}　${figure(totalOf(t))}`] : ['看一条消息是怎样送到的']));
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
    $('unplug').disabled = !chat?.bot;
  };
  const showVerified = () => {
    const problem = chat?.bot ? world.verified[chat.bot] : null;
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
    drafts.set(chat?.id, text);
    grow();
  };
  const bare = () => input.value.trim() === '' || input.value.trim() === mention().trim();

  const say = async (text) => {
    const to = chat, from = me;
    trouble('trouble')(null);
    try {
      applyLine(await call('say', { chat: to.id, person: from, text }));
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
    drafts.set(chat?.id, input.value);
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
    $('title').textContent = chat ? chat.name + (chat.kind === 'single' ? '' : `（${chat.members.length + (chat.bot ? 1 : 0)}）`) : '';
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
    $('chips').replaceChildren(...(chat?.bot ? world.chips ?? [] : []).map((text) => {
      const chip = el('button', 'chip', text);
      chip.type = 'button';
      chip.dataset.test = 'chip';
      chip.onclick = () => say(mention() + text);
      return chip;
    }));
    $('hint').textContent = mention() ? `Enter 发送，Shift + Enter 换行。删掉「${mention().trim()}」，机器人就听不到了。` : 'Enter 发送，Shift + Enter 换行。';
    trouble('trouble')(null);
    trouble('deed-trouble')(null);
    write(drafts.get(chat?.id) ?? mention());
    input.disabled = !chat;
    showTalk();
    showList();
    showTraces();
    showDeeds();
    showVerified();
  };

  const route = () => {
    if (!world) return;
    const wanted = new URLSearchParams(location.hash.slice(1)).get('chat');
    const before = chat;
    chat = mine().find((c) => c.id === wanted) ?? (location.hash === '#list' ? mine().find((c) => c === before) : null) ?? mine()[0] ?? null;
    $('app').dataset.view = location.hash === '#list' || !chat ? 'list' : 'chat';
    showChat();
    if (chat?.kind === 'single' && $('app').dataset.view === 'chat') call('open', { chat: chat.id, person: me }).catch(trouble('trouble'));
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
    if (chat && !chat.members.includes(me)) history.replaceState(null, '', '#');
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
    const first = !world, id = chat?.id;
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
    chat = world.chats.find((c) => c.id === id) ?? null;
    showMe();
    route();
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

  window.addEventListener('hashchange', route);
  follow();
})();
