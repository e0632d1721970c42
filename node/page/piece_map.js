// Draws where the pieces of a pull are: one cell for an equal part of its bytes, in the order of its files. A cell of
// several pieces is split by what they are, so that nothing is rounded away.

// Order in a cell, left to right; the letters are those of GET /shoal/v1/pulls/{id}/pieces.
const LETTERS = ['l', 'o', 'm', 'f', 'n', 'c', '-'];
const COLOURS = ['--lan', '--origin', '--local', '--moving', '--moving', '--claimed', '--none'];
const CELL = 9;   // CSS pixels, the gap included
const GAP = 1.5;
const ROWS_MAX = 8;
const CELLS_LEAST = 24;

// Bytes of each state in each of `cells` equal parts: an array of cells x 7.
export function sumCells(files, cells) {
  const total = files.reduce((sum, file) => sum + file.size, 0);
  const out = new Float64Array(cells * LETTERS.length);
  if (total === 0) return out;
  const perCell = total / cells;
  let at = 0;
  const put = (state, bytes) => {
    let left = bytes;
    while (left > 1e-6) {
      const cell = Math.min(cells - 1, Math.floor(at / perCell + 1e-9));
      const room = cell === cells - 1 ? left : Math.max((cell + 1) * perCell - at, 1e-6);
      const part = Math.min(left, room);
      out[cell * LETTERS.length + state] += part;
      at += part;
      left -= part;
    }
  };
  for (const file of files) {
    let left = file.size;
    const take = (state, bytes) => {
      const part = Math.min(bytes, left);
      put(state, part);
      left -= part;
    };
    if (file.runs === null) {
      // Where in the file is not known: its sources one after the other.
      take(0, file.bytes_lan);
      take(1, file.bytes_origin);
      take(2, file.bytes_local);
    } else {
      for (const [, letter, count] of file.runs.matchAll(/([a-z-])(\d+)/g)) {
        take(LETTERS.indexOf(letter), Number(count) * file.piece_size);
      }
    }
    take(6, left);
  }
  return out;
}

// What the map shows, for those who do not see it.
export function describe(files) {
  const total = files.reduce((sum, file) => sum + file.size, 0);
  if (total === 0) return 'Piece map: nothing yet';
  const sums = sumCells(files, 1);
  const part = (...states) => Math.round((states.reduce((sum, s) => sum + sums[s], 0) / total) * 100);
  return `Piece map: ${part(0)} % from neighbours, ${part(1)} % from the Hub, ${part(2)} % was here, ` +
    `${part(3, 4)} % on its way, ${part(5)} % fetched by a neighbour, ${part(6)} % not begun`;
}

function piecesIn(files) {
  return files.reduce((sum, file) => sum + (file.piece_size ? Math.ceil(file.size / file.piece_size) : file.files), 0);
}

export class PieceMap {
  constructor(canvas) {
    this.canvas = canvas;
    this.files = [];
    this.width = 0;
    new ResizeObserver(([entry]) => {
      if (Math.abs(entry.contentRect.width - this.width) < 1) return;
      this.width = entry.contentRect.width;
      this.draw();
    }).observe(canvas.parentElement);
  }

  show(files) {
    this.files = files;
    const text = describe(files);
    if (this.canvas.getAttribute('aria-label') !== text) this.canvas.setAttribute('aria-label', text);
    this.draw();
  }

  draw() {
    const columns = Math.floor(this.width / CELL);
    if (columns < 4) return;
    // Few pieces: larger maps would only pretend to know more.
    const wanted = Math.max(CELLS_LEAST, piecesIn(this.files));
    const rows = Math.max(1, Math.min(ROWS_MAX, Math.round(wanted / columns)));
    const cells = rows * columns;
    const scale = window.devicePixelRatio || 1;
    const height = rows * CELL;
    this.canvas.style.height = `${height}px`;
    this.canvas.width = Math.round(columns * CELL * scale);
    this.canvas.height = Math.round(height * scale);
    this.canvas.style.width = `${columns * CELL}px`;
    const style = getComputedStyle(document.documentElement);
    const colours = COLOURS.map((name) => style.getPropertyValue(name).trim());
    const g = this.canvas.getContext('2d');
    g.scale(scale, scale);
    const sums = sumCells(this.files, cells);
    const inner = CELL - GAP;
    for (let cell = 0; cell < cells; ++cell) {
      const x = (cell % columns) * CELL;
      const y = Math.floor(cell / columns) * CELL;
      let whole = 0;
      for (let s = 0; s < LETTERS.length; ++s) whole += sums[cell * LETTERS.length + s];
      if (whole === 0) {
        g.fillStyle = colours[6];
        g.fillRect(x, y, inner, inner);
        continue;
      }
      let left = x;
      for (let s = 0; s < LETTERS.length; ++s) {
        const part = (sums[cell * LETTERS.length + s] / whole) * inner;
        if (part <= 0) continue;
        g.fillStyle = colours[s];
        g.fillRect(left, y, part, inner);
        left += part;
      }
    }
  }
}
