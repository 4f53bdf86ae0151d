// Memory of the weights in their formats.

import { formatOf } from "./log.js";

/** Bytes of the weights of each row now and in FP32, from the embedding up; null if unknown. */
export function rowBytes({ view, log, encoding }) {
  const { header } = log;
  if (!Object.keys(header.weights).length) return null;
  const last = header.size.layers + 1;
  const rows = Array.from({ length: last + 1 }, () => ({ now: 0, full: 0 }));
  for (const [name, weights] of Object.entries(header.weights)) {
    const layer = /^[am](\d+)/.exec(name)?.[1];
    const row = rows[layer ? Number(layer) + 1 : name === "input" ? 0 : last];
    row.now += (weights * (encoding.bits[formatOf(view, header, name)] ?? 32)) / 8;
    row.full += 4 * weights;
  }
  return rows;
}

/** Bytes of all weights in their formats now, and in FP32; null if unknown. */
export function storedBytes(scene) {
  const rows = rowBytes(scene);
  if (!rows) return null;
  const sum = (key) => rows.reduce((total, row) => total + row[key], 0);
  return { now: sum("now"), full: sum("full") };
}
