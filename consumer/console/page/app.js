// The console's page. Everything that comes from events is set as text, never as markup.

const $ = id => document.getElementById(id);
const HISTORY = 600, DELIVERIES = 200, NOTICES = 50, TEXT = 300, STALE_MS = 5000, RETRY_MS = 4000;
const number = new Intl.NumberFormat('en');

// --- words ---

// Control characters and direction marks are shown, not obeyed; a long text is cut.
function clean(value, max = TEXT) {
  let text = String(value ?? '');
  if (text.length > max) text = text.slice(0, max) + '…';
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, c =>
    c < ' ' ? String.fromCharCode(0x2400 + c.charCodeAt(0)) : '\ufffd');
}
const unknown = '–';
const count = n => n == null ? unknown : number.format(n);
const plural = (n, word) => count(n) + ' ' + word + (n === 1 ? '' : 's');
const rate = n => n == null ? unknown : n >= 10 ? count(Math.round(n)) : n.toFixed(1);
function span(ms) {
  if (ms == null) return unknown;
  if (ms < 1000) return Math.round(ms) + ' ms';
  const s = ms / 1000;
  if (s < 60) return (s < 10 ? s.toFixed(1) : Math.round(s)) + ' s';
  if (s < 3600) return Math.floor(s / 60) + 'm' + String(Math.floor(s % 60)).padStart(2, '0') + 's';
  if (s < 86400) return Math.floor(s / 3600) + 'h' + String(Math.floor(s / 60 % 60)).padStart(2, '0') + 'm';
  return Math.floor(s / 86400) + 'd' + Math.floor(s / 3600 % 24) + 'h';
}
const seconds = s => s == null ? unknown : s < 1 ? '0 s' : span(s * 1000);
function clock(ms, millis) {
  const d = new Date(ms), pad = (n, w = 2) => String(n).padStart(w, '0');
  return pad(d.getHours()) + ':' + pad(d.getMinutes()) + ':' + pad(d.getSeconds()) + (millis ? '.' + pad(d.getMilliseconds(), 3) : '');
}
const day = ms => ms ? new Date(ms).toLocaleString() : unknown;
const quote = text => /^[\w@%+=:,./-]+$/.test(text) ? text : "'" + String(text).replace(/'/g, "'\\''") + "'";

// --- elements ---

function h(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value == null || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat().filter(c => c != null && c !== false));
  return node;
}
function svg(tag, attributes) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}
function put(node, text) { if (node.textContent !== text) node.textContent = text; }
function set(node, name, value) {
  if (value == null) { if (node.hasAttribute(name)) node.removeAttribute(name); }
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}
function setState(node, word = '', kind = '', glyph = '') { put(node, word); set(node, 'class', 'st ' + kind); set(node, 'data-g', glyph); return node; }
const state = (...how) => setState(h('span'), ...how);
const OFF = ['off', '?'];

// Keep the rows of a body in step with a list: what is the same stays the same element.
function rows(body, list, key, make, update) {
  const old = new Map([...body.children].map(row => [row.dataset.key, row]));
  let at = body.firstElementChild;
  for (const item of list) {
    const id = String(key(item));
    let row = old.get(id);
    if (row) old.delete(id);
    else { row = make(item); row.dataset.key = id; }
    if (row === at) at = at.nextElementSibling;
    else body.insertBefore(row, at);
    row.item = item;
    if (update) update(row, item);
  }
  for (const row of old.values()) row.remove();
}
// The tables of the fleet: caption, columns with the class of their cells, and the classes of the table and its box.
const TABLES = {
  consumers: ['Consumers: what each batch waits for', [['Consumer'], ['Slowest batch', 'slow'], ['Lanes', 'lanes-c'], ['In', 'n in'], ['Out', 'n out'], ['p95', 'n mid'], ['Lag', 'n'], ['Up', 'n lo'], ['', 'act']], 'barrier nav'],
  targets: ['Targets with their circuit breaker and limits', [['Target', 'cut'], ['State'], ['OK/min', 'n'], ['4xx', 'n'], ['5xx', 'n'], ['None', 'n mid'], ['Limit: tokens left'], ['p95', 'n'], ['Wait p95', 'n mid'], ['', 'act']]],
  clusters: ['Clusters: the worst that a consumer sees', [['Cluster', 'cut'], ['State'], ['Seen by', 'n mid'], ['Last well', 'n'], ['Why', 'wrap']]],
  partitions: ['Partitions with their lag', [['Partition', 'cut'], ['Owner'], ['Lag', 'n'], ['Oldest', 'n'], ['Committed', 'n mid'], ['End', 'n mid'], ['Clears in', 'n']], '', 'tall'],
  deliveries: ['The latest deliveries, newest first', [['At'], ['Target'], ['Repo'], ['Commit', 'mid'], ['Result'], ['Took', 'n'], ['Tries', 'n lo']], 'nav', 'tall'],
};
// A table in a box of its own that scrolls.
function table(caption, columns, lines, kind = 'nav', box = '', id) {
  return h('div', { class: 'scroll ' + box, tabindex: 0, role: 'region', 'aria-label': caption }, h('table', { class: kind, id }, h('caption', { class: 'sr' }, caption),
    h('thead', null, h('tr', null, columns.map(([word, kind]) => h('th', { class: kind }, word || h('span', { class: 'sr' }, 'Actions'))))), h('tbody', null, lines)));
}
const line = id => h('tr', null, TABLES[id][1].map(([, kind]) => h('td', { class: kind })));
const tr = (...cells) => h('tr', null, cells.map(([content, kind, title]) => h('td', { class: kind, title }, content)));
function opens(event, row) { row.dataset.open = '#/event/' + encodeURIComponent(event || ''); return row; }
function copyable(text) { return h('code', { class: 'cli' }, text); }

// --- the fleet ---

const STATES = { ok: ['ok', '✓'], warn: ['warn', '!'], bad: ['bad', '✗'], unknown: OFF };
let frame = null, info = { offers: [] }, frameAt = 0, said = '';
const offers = what => info.offers.includes(what);

function showVerdict(f) {
  const v = f.verdict, box = $('verdict');
  set(box, 'data-level', v.level);
  put(box.querySelector('.glyph'), (STATES[v.level] || STATES.unknown)[1]);
  put($('verdict-text'), clean(v.text));
  document.title = (v.level === 'ok' ? '' : (STATES[v.level] || STATES.unknown)[1] + ' ') + 'Sluice · ' + f.group;
  const words = v.level + v.text.replace(/[\d.,]+/g, '');
  if (words !== said) { said = words; put($('say'), clean(v.text)); } // spoken when the words change, not the figures
  const notes = $('notes');
  notes.hidden = !f.notes.length;
  rows(notes, f.notes, n => n.about + n.text, () => h('li', null, state(), h('span')), (li, n) => {
    setState(li.firstChild, '', ...n.level === 'info' ? ['off', 'i'] : STATES[n.level] || OFF);
    if (li.lastChild.textContent !== n.about + ' ' + n.text) li.lastChild.replaceChildren(h('b', null, clean(n.about)), ' ' + clean(n.text));
  });
  put($('where'), clean(f.group + ' · ' + f.topic));
  const why = [!f.redis.known && 'Redis does not answer (' + f.redis.why + '): what it would say is unknown; deliveries wait or go on as configured.',
    !f.kafka.known && f.kafka.why && 'Kafka does not answer (' + f.kafka.why + ').'].filter(Boolean).join(' ');
  showBanner('fleet', why);
}

const banners = {};
function showBanner(who, text) {
  banners[who] = text;
  const all = Object.values(banners).filter(Boolean).join(' ');
  put($('banner'), clean(all, 1000));
  $('banner').hidden = !all;
}

const TILES = [
  { id: 'in', label: 'in', unit: '/s', of: t => t.in_per_s, show: rate },
  { id: 'out', label: 'out', unit: '/s', of: t => t.out_per_s, show: rate },
  { id: 'lag', label: 'lag', of: t => t.lag_s, show: seconds, sub: t => t.lag_events == null ? '' : plural(t.lag_events, 'event') + (t.drains_in_s ? ', clears in ' + seconds(t.drains_in_s) : '') + (t.deferred ? ', ' + count(t.deferred) + ' deferred' : '') },
  { id: 'p95', label: 'p95, event to trigger', of: t => t.p95_ms, show: span, sub: t => t.in_flight == null ? '' : count(t.in_flight) + ' in flight' },
  { id: 'dead', label: 'dead letters', of: t => t.dead, show: count },
];
// One entry a second: [at, [values]].
const past = [];

function makeTiles() {
  for (const tile of TILES) {
    tile.value = h('span', { class: 'n' });
    tile.subline = h('div', { class: 's' });
    tile.spark = svg('svg', { class: 'spark', viewBox: '0 0 120 30', preserveAspectRatio: 'none', role: 'img' });
    tile.area = tile.spark.appendChild(svg('path', { class: 'area' }));
    tile.path = tile.spark.appendChild(svg('path', { class: 'line' }));
    $('tiles').append(h('div', { class: 'tile' }, h('div', { class: 'l' }, tile.label),
      h('div', { class: 'v' }, tile.value, h('span', { class: 'u' }, tile.unit || '')), tile.subline, tile.spark));
  }
}
function drawSpark(tile, index) {
  const now = past[past.length - 1][0], width = Math.max(60000, now - past[0][0]), points = [];
  let top = 0, low = Infinity;
  for (const [at, values] of past) {
    const v = values[index];
    if (v == null) { points.push(null); continue; }
    top = Math.max(top, v); low = Math.min(low, v);
    points.push([120 - (now - at) / width * 120, v]);
  }
  let line = '', pen = false, first = null, last = null;
  for (const p of points) {
    if (!p) { pen = false; continue; }
    const y = top > 0 ? 28 - p[1] / top * 26 : 28;
    line += (pen ? 'L' : 'M') + p[0].toFixed(1) + ' ' + y.toFixed(1);
    pen = true; first = first || p; last = p;
  }
  set(tile.path, 'd', line || null);
  set(tile.area, 'd', line && line.indexOf('M', 1) < 0 ? line + `L${last[0].toFixed(1)} 30L${first[0].toFixed(1)} 30Z` : null);
  set(tile.spark, 'aria-label', first ? `${tile.label}, last ten minutes: from ${tile.show(low)} to ${tile.show(top)}` : `${tile.label}: nothing known`);
}
function showTiles(f) {
  TILES.forEach((tile, i) => {
    const v = tile.of(f.totals);
    put(tile.value, tile.show(v));
    if (tile.sub) put(tile.subline, tile.sub(f.totals));
    else if (tile.id === 'dead') put(tile.subline, f.dead.slice().sort((a, b) => b.count - a.count).slice(0, 2).map(d => clean(d.count + ' ' + d.reason + ' ' + d.target, 60)).join(', '));
    drawSpark(tile, i);
  });
  const dead = f.totals.dead || 0;
  $('dead-count').hidden = !dead;
  put($('dead-count'), count(dead));
}
function remember(f) {
  const at = f.at_ms, last = past[past.length - 1];
  if (last && at <= last[0]) return;
  past.push([at, TILES.map(t => t.of(f.totals))]);
  while (past.length && past[0][0] < at - HISTORY * 1000) past.shift();
}

// The barrier view: one row for each consumer. Of its lanes the one that waits longest is told in words.
const RANK = { blocked: 9, barrier: 8, parking: 7, limited: 6, firing: 5, asking: 5, claiming: 4, filling: 3, due: 2, idle: 0 };
const CONSUMER = { running: ['ok', '✓'], starting: ['warn', '…'], idle: ['off', '–'], draining: ['warn', '↓'], drained: ['warn', '↓'], late: ['warn', '!'], gone: ['bad', '✗'] };

function slowest(c) {
  let best = null;
  for (const p of c.partitions || []) {
    const rank = RANK[p.batch.state] ?? 1;
    if (rank && (!best || rank > best.rank || rank === best.rank && p.batch.for_ms > best.p.batch.for_ms)) best = { rank, p };
  }
  return best && best.p;
}
function batchWords(p) {
  const b = p.batch, whom = b.waiting.slice().sort((x, y) => (y.oldest_ms || 0) - (x.oldest_ms || 0));
  const waits = whom.length ? ` · waiting for ${whom.slice(0, 2).map(w => clean(w.target, 40) + (w.units > 1 ? ' ×' + w.units : '') + (w.oldest_ms >= 1000 ? ' ' + span(w.oldest_ms) : '')).join(', ')}` : '';
  if (b.state === 'filling') return [`filling ${b.events}/${b.size}`, ''];
  if (b.state === 'barrier' || b.state === 'firing') return [`${b.state} ${b.ended}/${b.units}`, waits];
  if (b.state === 'claiming' || b.state === 'asking' || b.state === 'limited') return [`${b.state}, ${plural(b.units, 'unit')}`, ` · ${span(b.for_ms)}`];
  return [b.state, b.for_ms >= 1000 ? ` · ${span(b.for_ms)}` : ''];
}
function lane(p) { return (p.topic === frame.topic ? '' : p.topic.replace(frame.topic + '.' + frame.group + '.', '') + ' ') + p.partition; }

function makeConsumer() {
  const row = line('consumers');
  row.children[0].append(h('div', { class: 'who' }, h('b', { class: 'm' }), state()));
  row.children[1].append(h('div', { class: 'sluice' },
    h('div', { class: 'track' }, ['out', 'done', 'gate'].map(c => h('i', { class: c }))), h('div', { class: 'words' }, h('b'), h('span'))));
  row.children[2].append(h('div', { class: 'lanes' }));
  return row;
}
function updateConsumer(row, c) {
  const [who, slow, lanes, inn, out, p95, lag, up, act] = row.children;
  put(who.querySelector('b'), clean(c.id, 60));
  set(who, 'title', clean(`${c.host || ''} pid ${c.pid ?? ''} · version ${c.version || ''} ${c.revision || ''} · config ${c.config_hash || ''}`));
  setState(who.querySelector('.st'), c.state + (c.state === 'late' || c.state === 'gone' ? ' ' + span(c.age_ms) : '') + (c.skew ? ' ≠' : ''), ...CONSUMER[c.state] || OFF);
  set(row, 'class', (row.classList.contains('cursor') ? 'cursor ' : '') + (c.state === 'gone' ? 'grey' : ''));
  const p = c.state === 'gone' ? null : slowest(c), b = p && p.batch;
  const track = slow.querySelector('.track'), [bar, words] = [track.children, slow.querySelector('.words')];
  const filling = b && (b.state === 'filling');
  const whole = !b ? 0 : filling ? b.size : b.units, done = !b ? 0 : filling ? b.events : b.ended;
  const flying = b && !filling ? b.units : 0;
  set(track, 'data-s', b ? b.state : 'idle');
  bar[0].style.width = whole ? Math.min(100, flying / whole * 100) + '%' : '0';
  bar[1].style.width = whole ? Math.min(100, done / whole * 100) + '%' : '0';
  const [first, rest] = b ? batchWords(p) : [c.state === 'gone' ? 'last known: ' + lanesWord(c) : (c.partitions || []).length ? 'idle' : 'no partitions', ''];
  put(words.firstChild, b ? `[${lane(p)}] ${first}` : first);
  put(words.lastChild, rest);
  set(words.lastChild, 'class', b && b.state === 'barrier' && b.for_ms >= 1000 ? 'gate-w' : 'sub');
  rows(lanes.firstChild, c.partitions || [], q => q.topic + q.partition, () => h('span', { class: 'cell' }), (cell, q) => {
    set(cell, 'data-s', c.state === 'gone' ? 'idle' : q.batch.state);
    set(cell, 'title', clean(`${q.topic}[${q.partition}] ${batchWords(q).join('')} · lag ${count(q.lag_events)}`));
  });
  set(lanes, 'aria-label', lanesWord(c));
  put(inn, rate(c.in_per_s)); put(out, rate(c.out_per_s)); put(p95, span(c.p95_ms)); put(lag, count(c.lag_events)); put(up, seconds(c.up_s));
  button(act, offers('drain') && { running: 'drain', idle: 'drain', draining: 'call back', drained: 'call back' }[c.state], () => askDrain(row.item));
}
const lanesWord = c => (c.partitions || []).filter(p => p.topic === frame.topic).map(p => p.partition).join(', ') || 'nothing';
function button(cell, word, act) {
  const there = cell.firstElementChild;
  if (!word) { if (there) there.remove(); return; }
  if (there) put(there, word);
  else cell.append(h('button', { class: 'quiet', onclick: e => { e.stopPropagation(); act(); } }, word));
}

const TARGET = { ok: ['ok', '✓'], idle: ['off', '–'], open: ['bad', '✗'], paused: ['warn', '‖'], silent: ['warn', '?'] };
function updateTarget(row, t) {
  const [name, st, ok, c4, c5, none, limit, p95, wait, act] = row.children;
  put(name.firstChild, clean(t.name, 80)); put(name.lastChild, t.kind && t.kind !== 'http' ? ' ' + clean(t.kind, 20) : '');
  const words = t.state === 'open' ? 'circuit open' + (t.for_ms != null ? ', probe in ' + span(t.for_ms) : '')
    : t.state === 'paused' ? 'paused' + (t.for_ms ? ' for ' + span(t.for_ms) : '') : t.state;
  setState(st.firstChild, words, ...TARGET[t.state] || OFF);
  put(st.lastChild, t.state === 'paused' ? clean(` ${[t.who && 'by ' + t.who, t.reason].filter(Boolean).join(': ')}`, 120) : t.state === 'open' && t.reason ? ' ' + clean(t.reason, 80) : '');
  put(ok, count(t.ok_per_min)); put(c4, count(t.c4xx_per_min)); put(c5, count(t.c5xx_per_min)); put(none, count(t.none_per_min));
  put(p95, span(t.p95_ms)); put(wait, span(t.token_wait_p95_ms));
  rows(limit, t.limits || [], l => l.name, () => h('div', { class: 'meter' }, h('span', { class: 'bar' }, h('i')), h('span')), (m, l) => {
    const share = l.tokens == null ? 0 : Math.max(0, Math.min(1, l.tokens / l.burst));
    m.querySelector('i').style.width = share * 100 + '%';
    m.classList.toggle('low', l.tokens != null && share < .15);
    put(m.lastChild, `${l.tokens == null ? unknown : Math.max(0, Math.floor(l.tokens))}/${count(l.burst)}`);
    set(m, 'title', clean(`${l.name}: ${l.rate_per_s}/s for the whole fleet, ${l.used == null ? unknown : Math.round(l.used * 100) + ' %'} used`));
  });
  button(act, offers('pause') && (t.state === 'paused' ? 'resume' : 'pause'), () => askPause(row.item));
}
function makeTarget() {
  const row = line('targets');
  row.children[0].append(h('b'), h('span', { class: 'sub' }));
  row.children[1].append(state(), h('span', { class: 'sub' }));
  return row;
}

const CLUSTER = { connected: ['ok', '✓'], virtual: ['off', '–'], unknown: OFF };
function showClusters(f) {
  const list = f.clusters || [];
  $('p-clusters').hidden = !list.length;
  rows($('clusters').tBodies[0], list, c => c.name, () => line('clusters'), (row, c) => {
    const [name, st, seen, ok, why] = row.children, all = Object.values(c.consumers).reduce((a, b) => a + b, 0);
    put(name, clean(c.name, 80));
    setState(st.firstChild || st.appendChild(state()), clean(c.state, 20), ...CLUSTER[c.state] || ['bad', '✗']);
    put(seen, `${c.consumers[c.state] || 0}/${all}`);
    put(ok, c.ok_ms == null ? unknown : span(Math.max(0, f.at_ms - c.ok_ms)) + ' ago');
    put(why, clean(c.why));
  });
}

function showPartitions(f) {
  const shown = f.partitions.filter(p => p.topic === f.topic || p.lag_events > 0);
  const quiet = f.partitions.length - shown.length;
  rows($('partitions').tBodies[0], shown, p => p.topic + p.partition, () => line('partitions'), (row, p) => {
    const [name, owner, lag, age, committed, end, drains] = row.children;
    put(name, clean(lane(p), 60)); set(name, 'title', clean(`${p.topic}[${p.partition}]`));
    put(owner, p.owner ? clean(p.owner, 60) : 'nobody');
    put(lag, count(p.lag_events)); put(age, seconds(p.lag_s)); put(committed, count(p.committed));
    put(end, count(p.end == null ? null : Math.max(p.end, p.committed || 0)));
    put(drains, p.drains_in_s == null ? unknown : p.lag_events ? seconds(p.drains_in_s) : 'clear');
  });
  put($('quiet-partitions'), quiet ? `${plural(quiet, 'partition')} of retry topics clear` : '');
}

function draw() {
  const f = frame;
  if (!f || !f.totals) return;
  showVerdict(f);
  showTiles(f);
  if (view !== 'fleet') return;
  rows($('consumers').tBodies[0], f.consumers, c => c.id + (c.boot || ''), makeConsumer, updateConsumer);
  rows($('targets').tBodies[0], f.targets, t => t.name, makeTarget, updateTarget);
  showClusters(f);
  showPartitions(f);
}

// --- deliveries and notices ---

const deliveries = [], notices = [];
let only = 'all', filter = '', held = false, leftOut = 0, serial = 0;
const VERDICT = { triggered: ['ok', '✓'], duplicate: ['off', '='], skipped: ['off', '–'], superseded: ['off', '»'], deferred: ['warn', '…'], dead: ['bad', '✗'], returned: ['off', '↩'] };
const failed = d => d.verdict === 'deferred' && !d.held || d.verdict === 'dead';

function matches(d) {
  if (only === 'failed' && !failed(d) || only === 'retried' && !(d.tries > 1)) return false;
  if (!filter || filter.startsWith('/')) return true;
  return [d.target, d.repo, d.app, d.event, d.commit, d.verdict, d.reason, d.consumer, d.status].some(v => v != null && String(v).toLowerCase().includes(filter));
}
function showDeliveries() {
  if (held || view !== 'fleet') return;
  const list = deliveries.filter(matches).slice(-DELIVERIES).reverse();
  rows($('deliveries').tBodies[0], list, d => d.serial, d => {
    const result = [state(d.held ? 'held' : clean(d.verdict, 20), ...VERDICT[d.verdict] || OFF), h('span', { class: 'sub' }, ' ' + clean([d.status, d.reason].filter(Boolean).join(' '), 60))];
    return opens(d.event, tr([clock(d.at_ms), '', day(d.at_ms)], [clean(d.target, 80), 'cut'], [clean(d.repo, 120), 'cut', clean(d.repo)],
      [clean(d.commit, 7).replace('…', ''), 'mid m'], [result, 'cut'], [span(d.took_ms), 'n'], [count(d.tries), 'n lo']));
  });
  $('deliveries-empty').hidden = list.length > 0;
  put($('deliveries-more'), (leftOut ? `${count(leftOut)} more were not shown: at most 20 a second are` : ''));
}
function addDelivery(d) {
  d.serial = ++serial;
  leftOut += d.more || 0;
  deliveries.push(d);
  if (deliveries.length > 4 * DELIVERIES) deliveries.splice(0, deliveries.length - 2 * DELIVERIES);
}
function addNotice(n) {
  n.serial = ++serial;
  notices.unshift(n);
  notices.length = Math.min(notices.length, NOTICES);
  $('p-notices').hidden = false;
  rows($('notices'), notices, x => x.serial, x => h('li', null, h('time', null, clock(x.at_ms || Date.now())), clean(x.text || x.kind)));
}

// --- the stream ---

let source = null, lastId = '', retry = 0, space = '';
function connect() {
  disconnect();
  if (document.hidden) return;
  const query = new URLSearchParams();
  if (lastId) query.set('last', lastId);
  if (space) query.set('ns', space);
  source = new EventSource('/api/v1/stream' + (query.size ? '?' + query : ''));
  const on = (name, fn) => source.addEventListener(name, event => {
    if (event.lastEventId) lastId = event.lastEventId;
    let data = null;
    try { data = JSON.parse(event.data); } catch { return; }
    fn(data);
  });
  on('fleet', f => { frame = f; frameAt = Date.now(); showBanner('access', ''); remember(f); soon(); });
  on('delivery', d => { addDelivery(d); soon(); });
  on('notice', n => { addNotice(n); });
  on('gap', () => { lastId = ''; leftOut = 0; });
  on('goodbye', () => showLive());
  source.onerror = () => {
    showLive();
    if (source && source.readyState === EventSource.CLOSED) {
      disconnect();
      retry = setTimeout(begin, RETRY_MS);
      ask('fleet').catch(e => showBanner('access', e.message));
    }
  };
}
function disconnect() {
  clearTimeout(retry);
  if (source) source.close();
  source = null;
}
function showLive() {
  const age = frameAt ? Date.now() - frameAt : 0, box = $('live');
  const late = !frameAt || age > STALE_MS;
  document.body.classList.toggle('stale', late && frameAt > 0);
  const open = source && source.readyState === EventSource.OPEN;
  set(box, 'data-state', !late ? 'on' : open ? 'late' : frameAt ? 'off' : 'wait');
  put(box, !late ? 'live · ' + clock(frame.at_ms) : !frameAt ? 'connecting' : `no news for ${span(age)}`);
  showBanner('stream', late && frameAt && age > 2 * STALE_MS ? 'The console does not answer; what is shown is old.' : '');
}
let pending = false;
function soon() {
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => { pending = false; draw(); showDeliveries(); showLive(); });
}
document.addEventListener('visibilitychange', () => document.hidden ? disconnect() : connect());
setInterval(showLive, 1000);

// --- asking and acting ---

async function ask(path, options) {
  let answer, body;
  try {
    answer = await fetch('/api/v1/' + path, options);
    body = await answer.json();
  } catch {
    throw new Error('The console does not answer');
  }
  if (answer.status === 401 && !options) signIn();
  if (!answer.ok) throw Object.assign(new Error(clean(body.error || answer.statusText, 600) + (body.next ? '. Next: ' + clean(body.next) : '')), { status: answer.status });
  return body;
}
let token = '', acting = null;
const act = (path, body) => ask(path, { method: 'POST', body: JSON.stringify(body || {}), headers: { 'content-type': 'application/json', 'x-sluice-action': '1', authorization: 'Bearer ' + token } });

// One dialog for all that acts: it names the effect, and asks for the token when it is not known.
function confirmAct({ title, what, fields = [], cli, go, run }) {
  acting = run;
  put($('act-h'), title); put($('act-go'), go);
  $('act-fields').replaceChildren(...fields);
  const update = () => { put($('act-what'), clean(what())); put($('act-cli'), clean(cli(), 600)); };
  $('act-fields').oninput = update;
  update();
  $('act-token-l').hidden = !!token;
  $('act-error').hidden = true;
  $('act').showModal();
  (token ? $('act-go') : $('act-token')).focus();
}
// Reading wants a token here. What it opens is a session of this browser; the token itself stays for what acts.
function signIn() {
  disconnect();
  if ($('act').open) return;
  token = '';
  confirmAct({ title: 'Sign in', go: 'Sign in', what: () => 'This console answers only who has a token.',
    cli: () => `curl -H 'authorization: Bearer TOKEN' ${location.origin}/api/v1/fleet`,
    run: async () => { await act('session'); route(); } });
}
$('act').onclose = () => source || begin();
$('out').onclick = () => ask('session', { method: 'DELETE' }).then(() => location.reload());
function begin() {
  ask('console').then(i => {
    info = i;
    $('keys-act').hidden = !offers('pause');
    $('nav-dead').hidden = !offers('deadletters');
    $('out').hidden = !i.who;
    put($('out'), 'sign out ' + clean(i.who));
    if (offers('redrive')) followRedrive();
    connect();
    soon();
  }, e => { if (e.status !== 401) retry = setTimeout(begin, RETRY_MS); });
}
const field = (label, input) => h('label', null, label, input);
const choice = (values, chosen) => h('select', null, values.map(([v, word]) => h('option', { value: v, selected: v === chosen }, word)));

$('act-form').addEventListener('submit', async event => {
  event.preventDefault();
  if ($('act-token').value) token = $('act-token').value.trim();
  $('act-go').disabled = true;
  try {
    await acting();
    $('act').close();
  } catch (error) {
    if (error.status === 401) { token = ''; $('act-token-l').hidden = false; $('act-token').value = ''; }
    put($('act-error'), error.message);
    $('act-error').hidden = false;
  }
  $('act-token').value = '';
  $('act-go').disabled = false;
});

function askPause(t) {
  const why = h('input', { maxlength: 200, required: true, placeholder: 'INC-42' });
  const name = t.name, path = 'targets/' + encodeURIComponent(name);
  if (t.state === 'paused') {
    confirmAct({ title: 'Resume ' + clean(name, 60), go: 'Resume', fields: [field('Why', why)],
      what: () => `${name} is called again by the whole fleet within a second; what waits goes on as its retry topics come due.`,
      cli: () => `sluice-consumer resume ${quote(name)} --reason ${quote(why.value || 'TEXT')}`,
      run: () => act(path + '/resume', { reason: why.value }) });
    return;
  }
  const time = choice([['0', 'until resumed'], ['600000', '10 minutes'], ['1800000', '30 minutes'], ['7200000', '2 hours']], '1800000');
  const flag = { 600000: ' --for 10m', 1800000: ' --for 30m', 7200000: ' --for 2h' };
  confirmAct({ title: 'Pause ' + clean(name, 60), go: 'Pause', fields: [field('For', time), field('Why', why)],
    what: () => `The whole fleet stops calling ${name} within a second, ${time.selectedOptions[0].textContent === 'until resumed' ? 'until it is resumed' : 'for ' + time.selectedOptions[0].textContent}. Its units wait in the retry topics.`,
    cli: () => `sluice-consumer pause ${quote(name)}${flag[time.value] || ''} --reason ${quote(why.value || 'TEXT')}`,
    run: () => act(path + '/pause', { for_ms: Number(time.value), reason: why.value }) });
}
function askDrain(c) {
  const why = h('input', { maxlength: 200, required: true, placeholder: 'node maintenance' }), undo = c.state.startsWith('drain');
  confirmAct({ title: (undo ? 'Call back ' : 'Drain ') + clean(c.id, 60), go: undo ? 'Call back' : 'Drain', fields: [field('Why', why)],
    what: () => c.id + (undo ? ' joins the group again and takes partitions.' : ' ends what it has in hand, leaves its partitions to the others and takes no more.'),
    cli: () => `sluice-consumer drain ${quote(c.id)}${undo ? ' --undo' : ''} --reason ${quote(why.value || 'TEXT')}`,
    run: () => act('consumers/' + encodeURIComponent(c.id) + '/drain', { undo, reason: why.value }) });
}

// --- the view of an event ---

const STEP = { triggered: 'ok', dead: 'bad', deferred: 'warn' };
function stepClass(s) { return s.what === 'try' ? (s.status >= 200 && s.status < 300 ? 'ok' : 'warn') : STEP[s.what] || ''; }
function facts(pairs) {
  return h('dl', { class: 'facts' }, pairs.filter(p => p[1] != null && p[1] !== '').map(([k, v]) => h('div', null, h('dt', null, k), h('dd', null, v))));
}
function panel(title, cli, ...children) { return h('article', { class: 'panel' }, h('header', null, h('h2', null, title), cli && copyable(cli)), children); }

const empty = (body, text) => body.replaceChildren(h('p', { class: 'empty' }, text));
const fail = (body, error) => body.replaceChildren(h('p', { class: 'error', role: 'alert' }, error.message));

async function showEvent(id) {
  $('event-id').value = id;
  put($('event-cli'), 'sluice-consumer trace ' + (id ? quote(id) : 'EVENT_ID'));
  const body = $('event-body');
  if (!id) { empty(body, 'Give an id, or choose a row of the live deliveries.'); return; }
  empty(body, 'Asking …');
  try {
    const story = await ask('events/' + encodeURIComponent(id));
    const begin = story.steps.length ? story.steps[0].at_ms : 0;
    let before = begin;
    const line = h('ol', { class: 'line' }, story.steps.map(s => {
      const took = s.at_ms - before;
      before = s.at_ms;
      const words = s.what === 'try' ? [s.status || 'no answer', s.text, s.took_ms != null && 'in ' + span(s.took_ms), s.consumer && 'by ' + s.consumer].filter(Boolean).join(' ') : [s.text, s.target && s.what !== 'published' ? s.target : ''].filter(Boolean).join(' · ');
      return h('li', { class: stepClass(s) }, h('time', { title: day(s.at_ms) }, clock(s.at_ms, true)),
        h('b', null, clean(s.what === 'try' ? 'try ' + (s.try || '') : s.what, 30)), h('span', null, (s.what === 'try' && s.target ? clean(s.target, 80) + ': ' : '') + clean(words, 600)), h('span', { class: 'd' }, took > 0 ? '+' + span(took) : ''));
    }));
    const curl = `curl -s ${quote(location.origin + '/api/v1/events/' + encodeURIComponent(id))}`;
    body.replaceChildren(h('div', { class: 'cards' },
      panel(clean(story.event, 200), null, facts([['Repository', clean(story.repo)], ['App', clean(story.app)], ['Commit', story.commit && h('span', { class: 'm' }, clean(story.commit))], ['Known from', story.source === 'history' ? 'the history in Redis' : 'its dead letter'], ['In all', story.steps.length > 1 ? span(before - begin) : null]]),
        table('What became of each of its targets', [['Target'], ['Verdict'], ['Attempts']], (story.units || []).map(u => tr([clean(u.target)], [[state(u.held ? 'held' : clean(u.verdict), ...VERDICT[u.verdict] || OFF), h('span', { class: 'sub' }, ' ' + clean(u.reason || ''))]], [count(u.attempts)])))),
      panel('Timeline', null, line), h('p', null, h('button', { onclick: e => copy(curl, e.target) }, 'Copy as curl'))));
  } catch (error) {
    fail(body, error);
  }
}

// --- the dead letters ---

let deadShown = null;
function deadFilter() {
  const f = { target: $('dead-target').value.trim(), reason: $('dead-reason').value.trim(), since: $('dead-since').value };
  return Object.fromEntries(Object.entries(f).filter(([, v]) => v));
}
const flags = f => Object.entries(f).map(([k, v]) => ` --${k} ${quote(v)}`).join('');

async function showDead() {
  const f = deadFilter(), body = $('dead-body');
  put($('dead-cli'), 'sluice-consumer dlq list' + flags(f));
  try {
    const list = await ask('deadletters?' + new URLSearchParams({ ...f, limit: 200 }));
    deadShown = { filter: f, total: list.total };
    const groups = list.groups || [], letters = list.letters || [];
    if (!list.total) { empty(body, Object.keys(f).length ? 'No dead letter matches.' : 'No dead letters. Good.'); return; }
    body.replaceChildren(h('div', { class: 'cards' },
      panel(`${count(list.total)} outstanding, by reason`, 'sluice-consumer dlq list',
        table('Groups', [['Reason'], ['Target'], ['Count', 'n'], ['Oldest', 'n'], ['', 'act']], groups.map(g => tr([h('b', null, clean(g.reason, 80))], [clean(g.target, 80), 'cut'], [count(g.count), 'n'], [g.oldest_ms ? span(Date.now() - g.oldest_ms) + ' ago' : unknown, 'n'],
          [[h('button', { class: 'quiet', onclick: () => { $('dead-target').value = g.target; $('dead-reason').value = g.reason; showDead(); } }, 'show'), ' ', offers('redrive') && h('button', { class: 'quiet', onclick: () => askRedrive({ target: g.target, reason: g.reason }, g.count) }, 'redrive')], 'act'])))),
      panel('Letters, oldest first', 'sluice-consumer dlq show PARTITION:OFFSET',
        table('Letters', [['At'], ['Event'], ['Repo', 'mid'], ['Target'], ['Reason'], ['Tries', 'n'], ['Detail', 'mid']], letters.map(l => {
          return opens(l.event, tr([day(l.at_ms)], [clean(l.event, 80), 'cut m'], [clean(l.repo, 80), 'cut mid'], [clean(l.target, 80), 'cut'], [clean(l.reason, 60)], [count(l.attempts), 'n'], [clean(l.detail, 120), 'cut mid', clean(l.detail)]));
        })),
        letters.length < list.total && h('p', { class: 'foot' }, `${count(letters.length)} of ${count(list.total)}`)),
      offers('redrive') && h('p', null, h('button', { onclick: () => askRedrive(f, list.total) }, `Redrive ${count(list.total)} …`))));
  } catch (error) {
    fail(body, error);
  }
}
function askRedrive(f, about) {
  const pace = choice([['1', '1 a second'], ['5', '5 a second'], ['20', '20 a second'], ['50', '50 a second']], '5');
  const why = h('input', { maxlength: 200, placeholder: 'fixed the credentials' });
  const preview = h('p', { class: 'hint' }, 'A preview needs the token.');
  const body = dry => ({ ...f, rate_per_s: Number(pace.value), why: why.value, dry_run: dry });
  const look = async () => {
    if (!token) return;
    try {
      const plan = await act('deadletters/redrive', body(true));
      put(preview, `${count(plan.fit)} of ${count(plan.matched)} would be sent.` + (plan.unfit || []).map(u => ` ${count(u.count)} not: ${clean(u.why)}.`).join(''));
    } catch (error) { put(preview, error.message); if (error.status === 401) token = ''; }
  };
  confirmAct({ title: 'Redrive dead letters', go: 'Redrive', fields: [field('Pace', pace), field('Why', why), preview],
    what: () => `Re-send ${plural(about, 'event')} ${f.target ? 'to ' + f.target : 'to their targets'} at ${pace.value}/s, about ${span(about / Number(pace.value) * 1000)}, oldest first, through the shared limits. The original records stay.`,
    cli: () => `sluice-consumer dlq redrive${flags(f)} --rate ${pace.value}/s`,
    run: async () => { await act('deadletters/redrive', body(false)); setTimeout(showDead, 1500); followRedrive(); } });
  look();
}
async function followRedrive() {
  try {
    const r = await ask('deadletters/redrive');
    showBanner('redrive', r.running ? `Redrive ${clean(r.id || '')}: ${count(r.done)} of ${count(r.total)} sent.` : r.error ? `The redrive stopped: ${r.error}` : '');
    if (r.running) setTimeout(followRedrive, 1000);
    else { if (!r.error && r.total) addNotice({ at_ms: Date.now(), text: `Redrive ${r.id}: ${r.done} of ${r.total} sent, ${r.triggered} triggered, ${r.dead_again} dead again, ${r.waiting} waiting.` }); if (view === 'dead') showDead(); }
  } catch { showBanner('redrive', ''); }
}

// --- configuration and doctor ---

function flatten(tree, prefix, out) {
  for (const [key, node] of Object.entries(tree)) {
    const path = prefix ? prefix + '.' + key : key;
    if (node && typeof node === 'object' && 'value' in node && 'origin' in node) out.push([path, node.value, node.origin]);
    else if (node && typeof node === 'object' && !Array.isArray(node)) flatten(node, path, out);
    else out.push([path, node, '']);
  }
  return out;
}
async function showConfig() {
  const body = $('config-body');
  try {
    const config = await ask('config');
    const consumers = frame ? frame.consumers : [];
    const others = consumers.filter(c => c.state !== 'gone' && (c.config_hash !== config.hash || c.skew));
    body.replaceChildren(h('div', { class: 'cards' },
      panel('In step?', 'sluice-consumer status',
        h('p', { class: 'facts' }, others.length ? state(`${others.length} of ${consumers.length} consumers differ from this console or from each other`, 'warn', '≠') : state('All consumers run this configuration and one version', 'ok', '✓')),
        table('Versions and configurations', [['Who'], ['Version'], ['Revision'], ['Config']], [['this console', info.version, info.revision, config.hash],
          ...consumers.map(c => [c.id, c.version, c.revision, (c.config_hash || '') + (c.config_hash === config.hash ? '' : ' ≠')])].map(line => tr(...line.map(t => [clean(t), 'm']))))),
      panel('Effective', null, table('Effective configuration with its origin', [['Key'], ['Value'], ['Origin']], flatten(config.settings, '', []).map(([k, v, o]) => {
        const text = typeof v === 'string' ? v : JSON.stringify(v), row = tr([clean(k), 'm'], [clean(text), 'm cut', clean(text, 1000)], [clean(o), 'm']);
        if (o === 'default') row.className = 'grey';
        return row;
      })))));
  } catch (error) {
    fail(body, error);
  }
}
async function showDoctor() {
  const body = $('doctor-body');
  $('doctor-run').disabled = true;
  if (!body.firstChild) empty(body, 'Examining …');
  try {
    const doctor = await ask('doctor');
    const marks = { ok: ['ok', '✓'], warning: ['warn', '!'], failed: ['bad', '✗'], skipped: ['off', '–'] };
    body.replaceChildren(h('article', { class: 'panel' }, h('ol', { class: 'checks' }, doctor.checks.map(c => {
      return h('li', null, h('span', null, state(clean(c.name), ...marks[c.mark] || OFF), h('span', { class: 'sr' }, ' ' + c.mark)), h('span', null, clean(c.text, 600)), c.next && h('span', { class: 'next' }, '→ ' + clean(c.next)));
    }))));
  } catch (error) {
    fail(body, error);
  }
  $('doctor-run').disabled = false;
}

// --- views, keys, and the rest ---

const VIEWS = ['fleet', 'event', 'dead', 'config', 'doctor'];
let view = 'fleet';
function route() {
  const [, name, ...rest] = location.hash.split('/');
  view = VIEWS.includes(name) ? name : 'fleet';
  for (const section of document.querySelectorAll('[data-view]')) section.hidden = section.dataset.view !== view;
  for (const link of document.querySelectorAll('nav a')) set(link, 'aria-current', link.getAttribute('href') === '#/' + view ? 'page' : null);
  let id = '';
  try { id = decodeURIComponent(rest.join('/')); } catch { /* not ours */ }
  if (view === 'event') showEvent(id);
  if (view === 'dead') showDead();
  if (view === 'config') showConfig();
  if (view === 'doctor') showDoctor();
  soon();
}
async function copy(text, node) {
  try { await navigator.clipboard.writeText(text); } catch { return; }
  node.classList.add('copied');
  put($('say'), 'copied');
  setTimeout(() => node.classList.remove('copied'), 1200);
}
function setFilter(text) {
  const before = space;
  filter = text.trim().toLowerCase();
  space = text.trim().startsWith('/') && text.trim().length > 1 ? text.trim() : '';
  if (space !== before) { deliveries.length = 0; lastId = ''; connect(); }
  soon();
}
let typing = 0;
$('filter').addEventListener('input', () => { clearTimeout(typing); typing = setTimeout(() => setFilter($('filter').value), 250); });
for (const b of document.querySelectorAll('[data-only]')) b.addEventListener('click', () => {
  only = b.dataset.only;
  for (const other of document.querySelectorAll('[data-only]')) set(other, 'aria-pressed', other === b);
  soon();
});
function hold() { held = !held; set($('hold'), 'aria-pressed', held); put($('hold'), held ? 'held' : 'hold'); soon(); }
$('hold').addEventListener('click', hold);
$('event-form').addEventListener('submit', e => { e.preventDefault(); location.hash = '#/event/' + encodeURIComponent($('event-id').value.trim()); });
$('dead-form').addEventListener('submit', e => { e.preventDefault(); showDead(); });
$('doctor-run').addEventListener('click', showDoctor);
$('help-open').addEventListener('click', () => $('help').showModal());
for (const b of document.querySelectorAll('[data-close]')) b.addEventListener('click', () => b.closest('dialog').close());
document.addEventListener('click', e => {
  const code = e.target.closest('.cli');
  if (code) { copy(code.textContent.trim(), code); return; }
  const row = e.target.closest('tr[data-open]');
  if (row && !String(getSelection())) location.hash = row.dataset.open;
});

let cursor = null;
function step(by) {
  const all = [...document.querySelectorAll(`[data-view=${view}] table.nav tbody tr`)].filter(r => r.offsetParent);
  if (!all.length) return;
  const at = all.indexOf(cursor);
  if (cursor) cursor.classList.remove('cursor');
  cursor = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, at + by))];
  cursor.classList.add('cursor');
  cursor.scrollIntoView({ block: 'nearest' });
  put($('say'), clean([...cursor.cells].map(c => c.textContent).join(', ')));
}
document.addEventListener('keydown', e => {
  if (e.ctrlKey || e.metaKey || e.altKey || document.querySelector('dialog[open]')) return;
  if (e.target.matches('input,select,textarea')) { if (e.key === 'Escape') e.target.blur(); return; }
  const item = cursor && cursor.isConnected ? cursor.item : null;
  const keys = {
    '?': () => $('help').showModal(), j: () => step(1), k: () => step(-1), h: hold,
    '/': () => ({ event: $('event-id'), dead: $('dead-target') }[view] || (location.hash = '#/fleet', $('filter'))).focus(),
    Enter: () => { if (!e.target.closest('button,a') && cursor && cursor.dataset.open) location.hash = cursor.dataset.open; else return true; },
    P: () => { if (offers('pause') && item && 'limits' in item) askPause(item); },
    D: () => { if (offers('drain') && item && 'partitions' in item) askDrain(item); },
    R: () => { if (offers('redrive') && view === 'dead' && deadShown && deadShown.total) askRedrive(deadShown.filter, deadShown.total); },
  };
  VIEWS.forEach((name, i) => { keys[i + 1] = () => { location.hash = '#/' + name; }; });
  if (keys[e.key] && keys[e.key]() !== true) e.preventDefault();
});

for (const [id, [caption, columns, kind, box]] of Object.entries(TABLES)) $('in-' + id).replaceWith(table(caption, columns, [], kind, box, id));
makeTiles();
addEventListener('hashchange', route);
begin();
route();
