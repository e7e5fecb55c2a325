// 「故障与时钟」: what goes wrong on purpose, and what time it is.
import { el } from './text.js';

const $ = (id) => document.getElementById(id);

const FAULTS = {
  '': '正常', frequency: '45009 超过频率', token: '42001 令牌失效', address: '60020 地址不可信', server: 'HTTP 500',
  timeout: '做了，但回答不来', hang: '没做，也不回答', sendfail: '收下后报发送失败', duplicate: '重复投递', late: '迟到投递',
};
const TITLES = {
  'callback/aibot': '投给智能机器人', 'callback/app': '投给应用和客服', '*': '所有没有单独设置的接口',
  gettoken: '取 access_token', 'webhook/send': '群机器人发消息', 'webhook/upload_media': '群机器人传文件', 'media/upload': '传素材',
  'message/send': '应用消息', 'message/recall': '撤回应用消息', 'message/update_template_card': '改卡片', 'aibot/response': '机器人补充回答',
  'appchat/create': '建应用群', 'appchat/update': '改应用群', 'appchat/get': '查应用群', 'appchat/send': '应用群发言',
  'auth/getuserinfo': '网页登录', getcallbackip: '回调地址段', get_api_domain_ip: '接口地址段',
  'kf/sync_msg': '客服收消息', 'kf/send_msg': '客服发消息', 'kf/send_msg_on_event': '客服欢迎语等', 'kf/service_state/get': '查会话状态',
  'kf/service_state/trans': '改会话状态', 'kf/servicer/list': '接待人员', 'kf/account/list': '客服账号', 'kf/add_contact_way': '客服链接',
  'kf/customer/batchget': '顾客资料',
};
const TIMES = [[1, '一次'], [3, '三次'], [0, '一直']];

export const makePanel = ({ call, nameOf, world, now, calendar }) => {
  const times = new Map(); // chosen, by API
  let ticking;

  const trouble = (err) => {
    const line = $('panel-trouble');
    if (!line) return;
    line.textContent = err?.message ?? '';
    line.hidden = !err;
  };
  const ask = (name, body) => {
    trouble(null);
    call(name, body).catch(trouble);
  };
  const select = (label, entries, value, change) => {
    const box = el('select', '', ...entries.map(([v, text]) => {
      const option = el('option', '', text);
      option.value = v;
      option.selected = v === value;
      return option;
    }));
    box.setAttribute('aria-label', label);
    box.onchange = () => change(box.value);
    return box;
  };
  const button = (text, test, act) => {
    const b = el('button', 'deed', text);
    b.type = 'button';
    b.dataset.test = test;
    b.onclick = act;
    return b;
  };
  const check = (text, on, change) => {
    const box = el('input');
    box.type = 'checkbox';
    box.checked = on;
    box.onchange = () => change(box.checked);
    return el('label', 'check', box, el('span', '', text));
  };
  const section = (title, why, ...children) => el('section', '', el('h3', '', title), ...(why ? [el('p', 'why', why)] : []), ...children);

  const ahead = (p) => {
    const hours = Math.round(p.ahead / 360) / 10, days = Math.floor(hours / 24), rest = Math.round((hours - days * 24) * 10) / 10;
    return p.ahead ? `快 ${days ? `${days} 天` : ''}${days && rest ? ' ' : ''}${rest ? `${rest} 小时` : ''}` : '和这台电脑一致';
  };
  const tick = () => { if ($('panel-now')) $('panel-now').textContent = calendar(now()); };

  const clock = (p) => section('时钟',
    p.moves ? '平台和服务一起向前拨：服务会重启，带着同样快的时钟回来。' : '只拨平台的时钟：令牌、限额、客服的 48 小时会跟着走；服务自己的时钟和它的定时任务不动。',
    el('p', 'time', el('b', '', ''), el('span', '', p.moving ? '正在拨，服务在重启…' : ahead(p))),
    el('div', 'steps', ...[['到明早 08:59', 'morning'], ['+1 小时', 'hour'], ['+1 天', 'day']].map(([text, key]) => {
      const b = button(text, `advance-${key}`, () => ask('advance', { key }));
      b.disabled = p.moving;
      return b;
    })));

  const fault = (a) => {
    const title = TITLES[a.api] ?? a.api, count = times.get(a.api) ?? (a.fault ? a.left : a.api.startsWith('callback') ? 0 : 1);
    const set = (f, n) => ask('fault', { api: a.api, fault: f, times: n });
    const row = el('div', a.fault ? 'api on' : 'api',
      el('span', 'which', el('b', '', title), el('code', '', a.api === '*' ? '/cgi-bin/*' : a.api)),
      select(`${title}的故障`, [['', FAULTS['']], ...a.can.map((f) => [f, FAULTS[f]])], a.fault ?? '', (f) => set(f, count)),
      select(`${title}出几次故障`, [...TIMES, ...(TIMES.some(([n]) => n === count) ? [] : [[count, `还剩 ${count} 次`]])].map(([n, text]) => [String(n), text]), String(count), (n) => {
        times.set(a.api, +n);
        if (a.fault) set(a.fault, +n);
      }));
    row.dataset.api = a.api;
    return row;
  };

  const show = () => {
    const p = world()?.panel;
    if (!p) return;
    const on = p.apis.filter((a) => a.fault).length;
    $('panel-note').textContent = p.moving ? '正在拨钟…' : [on ? `${on} 处故障` : '', p.ahead ? ahead(p) : ''].filter(Boolean).join(' · ') || '故障与时钟';
    $('panel-open').classList.toggle('on', on > 0 || p.ahead > 0);
    if (!$('panel').open) return;
    const inside = $('panel-inside'), scroll = inside.scrollTop, focused = document.activeElement;
    const path = focused && inside.contains(focused) ? [focused.closest('[data-api]')?.dataset.api, focused.dataset.test, focused.getAttribute('aria-label')] : null;
    const alert = el('p', 'trouble');
    alert.id = 'panel-trouble';
    alert.setAttribute('role', 'alert');
    alert.hidden = true;
    const parts = [alert, clock(p)];
    parts.push(section('投递', '平台投给服务的回调。', ...p.apis.filter((a) => a.api.startsWith('callback/')).map(fault)));
    if (p.robots.length) parts.push(section('群机器人', '移出群以后，它的 key 得到 93000。',
      ...p.robots.map((r) => check(`${r.name}在「${world().chats.find((c) => c.id === r.chat)?.name ?? r.chat}」里`, !r.removed, (on) => ask('robot', { chat: r.chat, on }))),
      check('每分钟 20 条按钟点的分钟数（不勾：任意 60 秒）', p.fixed, (on) => ask('robot', { key: 'fixed', on }))));
    if (p.desks.length) parts.push(section('客服接待', '停下来的人接不到新的会话（95019）。',
      ...p.desks.map((d) => check(`${nameOf(d.person)}正在为「${nameOf(d.account)}」接待`, !d.stopped, (on) => ask('desk', { chat: d.account, person: d.person, key: 'status', on })))));
    parts.push(section('接口', '服务调用平台时。「一次」之后自己恢复。',
      ...p.apis.filter((a) => !a.api.startsWith('callback/')).map(fault),
      button('让所有 access_token 立刻失效', 'void-tokens', () => ask('fault', { api: 'token' }))));
    inside.replaceChildren(...parts);
    inside.querySelector('.time b').id = 'panel-now';
    tick();
    inside.scrollTop = scroll;
    if (path) [...inside.querySelectorAll('select, button, input')].find((n) => (path[0] ? n.closest('[data-api]')?.dataset.api === path[0] && n.getAttribute('aria-label') === path[2] : path[1] && n.dataset.test === path[1]))?.focus();
  };

  $('panel-open').onclick = () => {
    $('panel').showModal();
    show();
    clearInterval(ticking);
    ticking = setInterval(tick, 1000);
  };
  $('panel-close').onclick = () => $('panel').close();
  $('panel').onclick = (e) => { if (e.target === $('panel')) $('panel').close(); };
  $('panel').onclose = () => clearInterval(ticking);
  return { show };
};
