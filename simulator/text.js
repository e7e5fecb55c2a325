// How texts become nodes. Whatever people or services say becomes text nodes
// and elements made here, never markup.

export const el = (tag, className, ...children) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
};

export const link = (text, href) => {
  const a = el('a', '', text);
  a.href = href;
  a.target = '_blank';
  a.rel = 'noopener';
  return a;
};

export const webAddress = (href) => {
  try { return ['http:', 'https:'].includes(new URL(href).protocol) ? href : null; }
  catch { return null; }
};

// pictureAddress returns src if our page may load it: what we serve, what came
// along, and what is encrypted on its way.
export const pictureAddress = (src) => {
  if (!src) return null;
  if (/^data:image\/(png|jpeg);base64,/.test(src)) return src;
  try {
    const url = new URL(src, location.href);
    return url.protocol === 'https:' || url.origin === location.origin ? src : null;
  } catch { return null; }
};

// image returns a picture that makes room for itself only once it is there.
export const image = (src, className, alt = '图片') => {
  const img = el('img', className);
  img.alt = alt;
  img.onerror = () => img.replaceWith(el('span', `${className ?? ''} broken`, '图片打不开'));
  img.src = src;
  return img;
};

const TOKEN = /`([^`\n]+)`|!\[([^\]\n]*)\]\(([^\s)]+)\)|\[([^\]\n]+)\]\((https?:\/\/[^\s)]+)\)|<a\s+href="([^"<>]+)"\s*>([^<]*)<\/a>|<font\s+color="?(info|comment|warning)"?>([\s\S]*?)<\/font>|<@([^<>\s]+)>|\*\*([^*\n]+)\*\*|\*([^*\s][^*\n]*)\*|~~([^~\n]+)~~|(https?:\/\/[^\s<>"'，。！？；：、（）「」『』【】]+)/g;

// inline returns nodes for a text. What is more than a link has to be allowed:
// bold, named (links), code, anchor, font, at (a function from userid to name),
// italic and pictures.
export const inline = (text, may = {}) => {
  const nodes = [];
  let from = 0;
  for (const m of text.matchAll(TOKEN)) {
    let [whole, code, alt, src, label, named, anchor, anchored, colour, coloured, at, bold, italic, struck, bare] = m, node = null;
    if (bare) {
      whole = bare = bare.replace(/[.,;:!?)\]]+$/, '');
      node = webAddress(bare) && link(bare, bare);
    } else if (code && may.code) node = el('code', '', code);
    else if (src && may.pictures) node = pictureAddress(src) ? image(src, '', alt) : el('span', 'broken', alt || '图片');
    else if (named && may.named) node = webAddress(named) && link(label, named);
    else if (anchor && may.anchor) node = webAddress(anchor) && link(anchored, anchor);
    else if (colour && may.font) node = el('span', `font-${colour}`, ...inline(coloured, may));
    else if (at && may.at) node = el('span', 'at', may.at(at));
    else if (bold && may.bold) node = el('strong', '', ...inline(bold, may));
    else if (italic && may.italic) node = el('em', '', ...inline(italic, may));
    else if (struck && may.italic) node = el('s', '', ...inline(struck, may));
    if (!node) {
      const inner = named ?? anchor; // a link that is not allowed may still hold an address
      if (!inner && !bold && !italic && !struck && !coloured) continue;
      nodes.push(text.slice(from, m.index), ...bareLinks(whole));
      from = m.index + whole.length;
      continue;
    }
    nodes.push(text.slice(from, m.index), node);
    from = m.index + whole.length;
  }
  nodes.push(text.slice(from));
  return nodes;
};

// bareLinks returns nodes for a text in which only addresses mean something.
const bareLinks = (text) => {
  const nodes = [];
  let from = 0;
  for (const m of text.matchAll(/https?:\/\/[^\s<>"'，。！？；：、（）「」『』【】)\]]+/g)) {
    const address = m[0].replace(/[.,;:!?]+$/, '');
    nodes.push(text.slice(from, m.index), link(address, address));
    from = m.index + address.length;
  }
  return [...nodes, text.slice(from)];
};

// rich returns nodes for a text whose line breaks the style sheet keeps.
// Headings and quotes are known where bold is.
export const rich = (text, may = {}) => text.split('\n').flatMap((row, i) => {
  const before = i ? ['\n'] : [];
  const heading = may.bold && /^#{1,6}\s+(.*)$/.exec(row);
  if (heading) return [...before, el('strong', '', ...inline(heading[1], may))];
  const quote = may.bold && /^>\s?(.*)$/.exec(row);
  if (quote) return [...before, el('span', 'quote', ...inline(quote[1], may))];
  return [...before, ...inline(row, may)];
});

// What the forms of a text allow; see the Go constants of these names.
export const forms = (at) => ({
  person: {},
  bot: { bold: true, named: true },
  text: { anchor: true },
  markdown: { bold: true, named: true, code: true, font: true, at },
  markdown_v2: { bold: true, named: true, code: true, italic: true, pictures: true },
});

// blocks returns nodes for markdown_v2: what has lists, tables, nested quotes,
// rules and code.
export const blocks = (text) => {
  const may = forms().markdown_v2, rows = text.split('\n'), out = [];
  const cells = (row) => row.trim().replace(/^\||\|$/g, '').split('|').map((c) => c.trim());
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i];
    let m;
    if (/^```/.test(row)) {
      const code = [];
      while (++i < rows.length && !/^```/.test(rows[i])) code.push(rows[i]);
      out.push(el('pre', '', code.join('\n')));
    } else if (row.includes('|') && /^[\s|:-]*-[\s|:-]*$/.test(rows[i + 1] ?? '') && rows[i + 1].includes('|')) {
      const head = el('tr', '', ...cells(row).map((c) => el('th', '', ...inline(c, may)))), body = [];
      for (i++; (rows[i + 1] ?? '').includes('|'); i++) body.push(el('tr', '', ...cells(rows[i + 1]).map((c) => el('td', '', ...inline(c, may)))));
      out.push(el('div', 'sheet', el('table', '', el('thead', '', head), el('tbody', '', ...body))));
    } else if (/^\s*(-{3,}|\*{3,}|_{3,})\s*$/.test(row)) out.push(el('hr'));
    else if ((m = /^(#{1,6})\s+(.*)$/.exec(row))) out.push(el('div', `h h${Math.min(m[1].length, 3)}`, ...inline(m[2], may)));
    else if ((m = /^((?:>\s?)+)(.*)$/.exec(row))) {
      let node = el('div', 'quote', ...inline(m[2], may));
      for (let depth = m[1].replace(/\s/g, '').length; depth > 1; depth--) node = el('div', 'quote', node);
      out.push(node);
    } else if ((m = /^(\s*)([-*+]|\d+[.)])\s+(.*)$/.exec(row))) {
      const item = el('div', 'item', el('span', '', /\d/.test(m[2]) ? m[2] : '•'), el('span', '', ...inline(m[3], may)));
      item.style.paddingLeft = `${Math.min(4, Math.floor(m[1].replace(/\t/g, '  ').length / 2)) * 16}px`;
      out.push(item);
    } else if (row.trim()) out.push(el('div', '', ...inline(row, may)));
    else if (out.length && !out.at(-1).classList.contains('gap')) out.push(el('div', 'gap'));
  }
  return out;
};

// plain returns the words of a text in one line.
export const plain = (text) => text
  .replace(/<\/?(font|a)\b[^>]*>/g, '').replace(/<@([^<>\s]+)>/g, '@$1')
  .replace(/!?\[([^\]\n]*)\]\([^)\s]+\)/g, '$1').replace(/\*\*([^*\n]+)\*\*/g, '$1').replace(/`([^`\n]+)`/g, '$1')
  .replace(/^[#>\s]+/gm, '').replace(/\s+/g, ' ');
