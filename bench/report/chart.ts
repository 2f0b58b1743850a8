/**
 * Line charts as SVG: every series is named at its end, and told apart by shape and colour. The colours are variables of the
 * page, so that a chart is legible on light and on dark.
 *
 * Written by hand: libraries that draw need a browser's document, and those that do not bring ten megabytes; a scale and a
 * few ticks are less than their interface.
 */
export interface Point {
  readonly x: number
  readonly y: number
}

export interface Series {
  readonly name: string
  /** `limit` is drawn dashed and grey. */
  readonly kind: "own" | "limit" | "rival"
  readonly points: ReadonlyArray<Point>
}

export interface Tick {
  readonly value: number
  readonly text: string
}

export interface Chart {
  readonly title: string
  /** Both with their unit. */
  readonly xLabel: string
  readonly yLabel: string
  /** Their first and last are the ends of the axis, which is logarithmic. */
  readonly xTicks: ReadonlyArray<Tick>
  readonly formatY: (value: number) => string
  readonly series: ReadonlyArray<Series>
}

/** The classes that a page must style: `c0` and on for colours, `limit`, `grid`, `axis`. */
export const chartColours = [
  ["#0b62c4", "#6cb0ff"],
  ["#c2410c", "#ff9a5c"],
  ["#047857", "#4fd1a5"],
  ["#9d174d", "#f78fc0"],
  ["#6d28d9", "#b79bff"],
  ["#854d0e", "#e3b341"],
  ["#0e7490", "#5cd0e6"],
  ["#4d7c0f", "#a8d95e"],
  ["#be123c", "#ff8095"]
] as const

export const svgOf = ({ formatY, series, title, xLabel, xTicks, yLabel, yTicks }: Chart & {
  readonly yTicks?: ReadonlyArray<number>
}): string => {
  const drawn = series.filter(({ points }) => points.length > 0)
  const ticks = yTicks ?? logTicks(drawn.flatMap(({ points }) => points.map(({ y }) => y)))
  const [xMin, xMax] = [xTicks[0]?.value ?? 1, xTicks.at(-1)?.value ?? 2]
  const xAt = logScale(xMin, xMax, left, right)
  const yAt = logScale(ticks[0] ?? 1, ticks.at(-1) ?? 2, bottom, top)
  const coloured = drawn.filter(({ kind }) => kind !== "limit")
  const labels = apart(drawn.map(({ points }) => yAt(points.at(-1)?.y ?? 1)))
  return [
    `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${
      escaped(title)
    }" xmlns="http://www.w3.org/2000/svg">`,
    ...ticks.map((value) => horizontal(yAt(value), formatY(value))),
    ...xTicks.map(({ text, value }) => vertical(xAt(value), text)),
    `<text class="label" x="${(left + right) / 2}" y="${height - 8}" text-anchor="middle">${escaped(xLabel)}</text>`,
    `<text class="label" x="0" y="${top - 18}">${escaped(yLabel)}</text>`,
    ...drawn.map((each, i) => seriesOf(each, coloured.indexOf(each), { xAt, yAt, labelY: labels[i] ?? 0 })),
    "</svg>"
  ].join("\n")
}

/** For text of a page or of a chart. */
export const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("\"", "&quot;")

// --- internal ---

const [width, height] = [880, 420]
const [left, right, top, bottom] = [70, 610, 40, 350]

const rounded = (value: number): string => value.toFixed(1)

const logScale = (min: number, max: number, from: number, to: number) => (value: number): number =>
  from + (to - from) * Math.log(value / min) / Math.log(max / min)

/** The least decades, or their halves when there are few, that hold all values. */
const logTicks = (values: ReadonlyArray<number>): ReadonlyArray<number> => {
  const [min, max] = [Math.min(...values), Math.max(...values)]
  const powers = Math.log10(max / min) > 2.5 ? [1] : [1, 2, 5]
  const all = Array.from({ length: 40 }, (_, i) => i - 20).flatMap((power) =>
    powers.map((of) => power < 0 ? of / 10 ** -power : of * 10 ** power)
  )
  const [from, to] = [all.findLastIndex((tick) => tick <= min), all.findIndex((tick) => tick >= max)]
  return all.slice(from, Math.max(to, from + 1) + 1)
}

const horizontal = (y: number, text: string): string =>
  `<line class="grid" x1="${left}" y1="${rounded(y)}" x2="${right}" y2="${rounded(y)}"/>`
  + `<text x="${left - 8}" y="${rounded(y + 4)}" text-anchor="end">${escaped(text)}</text>`

const vertical = (x: number, text: string): string =>
  `<line class="axis" x1="${rounded(x)}" y1="${bottom}" x2="${rounded(x)}" y2="${bottom + 5}"/>`
  + `<text x="${rounded(x)}" y="${bottom + 20}" text-anchor="middle">${escaped(text)}</text>`

interface Places {
  readonly xAt: (x: number) => number
  readonly yAt: (y: number) => number
  readonly labelY: number
}

const seriesOf = ({ kind, name, points }: Series, index: number, { labelY, xAt, yAt }: Places): string => {
  const places = points.map(({ x, y }) => [xAt(x), yAt(y)] as const)
  const line = places.map(([x, y]) => `${rounded(x)},${rounded(y)}`).join(" ")
  const [endX, endY] = places.at(-1) ?? [0, 0]
  const colour = kind === "limit" ? "limit" : `c${index % chartColours.length}`
  return [
    `<g class="series ${kind} ${colour}">`,
    `<polyline points="${line}"/>`,
    ...places.map(([x, y]) => marks[Math.max(0, index) % marks.length]!(x, y)),
    `<line class="leader" x1="${rounded(endX + 6)}" y1="${rounded(endY)}" x2="${right + 22}" y2="${rounded(labelY)}"/>`,
    `<text x="${right + 26}" y="${rounded(labelY + 4)}">${escaped(name)}</text>`,
    "</g>"
  ].join("")
}

const marks: ReadonlyArray<(x: number, y: number) => string> = [
  (x, y) => `<circle cx="${rounded(x)}" cy="${rounded(y)}" r="4"/>`,
  (x, y) => `<rect x="${rounded(x - 3.5)}" y="${rounded(y - 3.5)}" width="7" height="7"/>`,
  (x, y) => `<path d="M${rounded(x)} ${rounded(y - 5)}l4.5 8h-9z"/>`,
  (x, y) => `<path d="M${rounded(x)} ${rounded(y - 5)}l5 5l-5 5l-5 -5z"/>`
]

const labelHeight = 17

// Names that would lie over each other are moved apart, without changing their order.
const apart = (places: ReadonlyArray<number>): ReadonlyArray<number> => {
  const order = places.map((y, index) => ({ index, y })).toSorted((a, b) => a.y - b.y)
  for (let i = 1; i < order.length; i += 1) order[i]!.y = Math.max(order[i]!.y, order[i - 1]!.y + labelHeight)
  const over = Math.max(0, (order.at(-1)?.y ?? 0) - bottom)
  for (const each of order) each.y -= over
  for (let i = 1; i < order.length; i += 1) order[i]!.y = Math.max(order[i]!.y, order[i - 1]!.y + labelHeight)
  return order.toSorted((a, b) => a.index - b.index).map(({ y }) => y)
}
