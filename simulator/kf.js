// 微信客服: the customer's side, with menus and the link they come by, and the
// servicer's.
import { el, link, rich, webAddress } from './text.js';

const $ = (id) => document.getElementById(id);

const STATES = ['还没有人接待', '智能助手接待中', '排队等人工', '人工接待中'];

export const makeDesk = ({ call, nameOf, route, showList, trouble, applyLine, world, me, chat, lines, opened }) => {
  let unfolded = null; // account whose link form is open by hand
  const params = new Map(); // scene_param as typed, by account
  const chosen = new Map(); // link, by account

  const session = (account, customer) => (world().sessions ?? []).find((s) => s.account === account && s.customer === customer);
  const fail = trouble('trouble');

  // chats returns those of a servicer: who waits, who is theirs, who was.
  const chats = () => (world().sessions ?? [])
    .filter((s) => s.servicers.includes(me()) && (s.state === 2 || s.servicer === me() || s.state === 4 && s.last === me()))
    .map((s) => ({ id: s.account, key: `${s.account}~${s.customer}`, with: s.customer, kind: 'serve', name: nameOf(s.customer), bot: s.account, members: [me()] }));

  // menu returns a msgmenu; its clicks say something for the customer.
  const menu = (l) => {
    const own = chat().kind === 'kf', m = l.menu, box = el('div', 'bubble menu');
    if (m.head_content) box.append(el('div', 'words', ...rich(m.head_content)));
    m.list.forEach((item, i) => {
      const { type } = item, body = item[type];
      if (type === 'text') { box.append(el(body.no_newline ? 'span' : 'div', 'words', body.content)); return; }
      if (type === 'view' && webAddress(body.url)) { box.append(el('div', 'choice', link(body.content, body.url))); return; }
      const b = el('button', 'choice', body.content);
      b.type = 'button';
      b.dataset.test = 'choice';
      b.disabled = !own || type !== 'click';
      b.onclick = () => call('click', { line: l.id, person: me(), key: String(i) }).then(applyLine).catch(fail);
      box.append(b);
    });
    if (m.tail_content) box.append(el('div', 'words', ...rich(m.tail_content)));
    return box;
  };

  const enter = (url) => {
    fail(null);
    call('enter', { person: me(), url }).then(({ chat: id }) => {
      unfolded = null;
      if (chat()?.id !== id) location.hash = `chat=${encodeURIComponent(id)}`;
      else show();
    }).catch((err) => {
      if (!chat()) route();
      fail(err);
    });
  };

  // entry is the form by which a customer comes.
  const entry = (account, started) => {
    const links = (world().links ?? []).filter((k) => k.account === account);
    const pick = el('select', '', ...links.map((k) => {
      const option = el('option', '', k.scene ? `场景 ${k.scene}` : '不带场景的链接');
      option.value = k.url;
      return option;
    }));
    pick.dataset.test = 'kf-link';
    pick.value = links.some((k) => k.url === chosen.get(account)) ? chosen.get(account) : links.at(-1)?.url;
    const param = el('input');
    param.dataset.test = 'kf-param';
    param.value = params.get(account) ?? '';
    param.maxLength = 128;
    param.autocomplete = 'off';
    param.placeholder = '例如 g=17&s=9f3a';
    param.oninput = () => params.set(account, param.value);
    const fit = () => {
      chosen.set(account, pick.value);
      param.disabled = !links.find((k) => k.url === pick.value)?.scene;
      why.textContent = param.disabled ? '没有 scene 的链接带不了 scene_param。' : '谁拿到链接都能改 scene_param；scene 封在 enc_scene 里，改不动。';
    };
    const why = el('p', 'why'), go = el('button', 'deed', '从链接进入');
    go.type = 'submit';
    go.dataset.test = 'kf-enter';
    const form = el('form', '', el('label', '', el('span', '', '链接'), pick), el('label', '', el('span', '', 'scene_param'), param), go, why);
    pick.onchange = fit;
    fit();
    form.onsubmit = (e) => {
      e.preventDefault();
      enter(pick.value + (param.disabled || !param.value ? '' : `&scene_param=${encodeURIComponent(param.value)}`));
    };
    const fold = el('details', 'entry', el('summary', '', started ? '再从链接进入一次' : '怎样进入：扫码或点链接'), form);
    fold.open = unfolded === account || !started && unfolded === null;
    fold.ontoggle = () => { if (fold.open) unfolded = account; else if (unfolded === account) unfolded = ''; };
    return fold;
  };

  const words = (s) => {
    if (!s) return '还没有进入过';
    if (s.state === 4) return s.wrote ? '会话已结束' : '进来了，还没有说话';
    return `${STATES[s.state]}${s.servicer ? `：${nameOf(s.servicer)}` : ''}${allowance(s)}`;
  };
  const status = (s) => [el('span', 'tag bot', s ? `状态 ${s.state}` : '新顾客'), ' ', words(s)];

  // allowance says what the service may still send.
  const allowance = (s) => (s.state > 1 ? '' : s.left ? `，服务还能回 ${s.left} 条` : '，服务要等顾客再说话才能回');

  const act = (key, text = '') => call('desk', { chat: chat().id, person: me(), with: chat().with, key, text }).catch(fail);
  const deed = (text, key, target) => {
    const b = el('button', 'deed', text);
    b.type = 'button';
    b.dataset.test = `desk-${key}`;
    b.onclick = () => act(key, target);
    return b;
  };

  // show fills the strip below the head of a 客服 chat.
  const show = () => {
    const c = chat(), box = $('session');
    box.hidden = !['kf', 'serve'].includes(c?.kind);
    if (box.hidden) { box.replaceChildren(); return; }
    const s = session(c.id, c.with ?? me());
    const state = el('p', 'now', ...status(s));
    state.dataset.test = 'kf-state';
    state.dataset.state = s ? s.state : '';
    if (c.kind === 'kf') { box.replaceChildren(state, entry(c.id, !!s)); return; }
    const buttons = [];
    if (s?.state === 2) buttons.push(deed('接入', 'take'));
    if (s?.state === 3 && s.servicer === me()) {
      buttons.push(deed('结束会话', 'end'));
      for (const other of s.servicers) if (other !== me()) buttons.push(deed(`转给${nameOf(other)}`, 'transfer', other));
    }
    box.replaceChildren(state, el('div', 'steps', ...buttons));
  };

  // changed shows new sessions and links.
  const changed = () => {
    opened();
    showList();
    if (!$('session').contains(document.activeElement) || chat()?.kind === 'serve') show();
    else if ($('session').firstElementChild) {
      const c = chat(), s = session(c.id, c.with ?? me()), now = $('session').firstElementChild;
      now.replaceChildren(...status(s));
      now.dataset.state = s ? s.state : '';
    }
  };

  // A 客服 link in a chat or from another page leads here, not out.
  document.addEventListener('click', (e) => {
    const a = e.target.closest?.('a[href*="/sim/kf/"]');
    if (!a || e.ctrlKey || e.metaKey) return;
    e.preventDefault();
    enter(a.href);
  });
  const fromHash = () => {
    const url = new URLSearchParams(location.hash.slice(1)).get('enter');
    if (!url || !world()) return false;
    history.replaceState(null, '', '#');
    enter(url);
    return true;
  };

  return { chats, menu, show, changed, fromHash };
};
