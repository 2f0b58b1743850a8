/**
 * The report as one page: charts, the numbers behind them, and the machine. It needs no script.
 */
import { formatBytes, formatMicros } from "../../src/programs/cli/units.ts"
import { describeEnvironment } from "../../src/programs/measure/environment.ts"
import * as Histogram from "../../src/programs/measure/histogram.ts"
import { type Spread, spreadOf } from "../../src/programs/measure/spread.ts"
import type { ComparisonReport, Figure } from "../harness/comparison.ts"
import { allowedRate, growthAxes, type GrowthAxis, growthKey, growthSizes } from "../log/growth.ts"
import { type Chart, chartColours, escaped, type Series, svgOf } from "./chart.ts"
import { groups, latencyKeys, loads, messageSizes, sizeKeys, streamRivals, tripRivals } from "./measurements.ts"

export const pageOf = (report: ComparisonReport, date: string): string =>
  [
    "<!doctype html>",
    "<html lang=\"en\">",
    "<head>",
    "<meta charset=\"utf-8\">",
    "<meta name=\"viewport\" content=\"width=device-width\">",
    "<title>ringfence: measured</title>",
    `<style>${style}</style>`,
    "</head>",
    "<body>",
    "<h1>ringfence: measured</h1>",
    `<p>${escaped(date)}, ${escaped(describeEnvironment(report.environment))}; ${
      escaped(Object.entries(report.settings).map(([name, value]) => `${name} ${value}`).join(", "))
    }. Medians of the runs under the placement of the cores that was met most often, which each chart names. docs/benchmarks.md`
    + " says how it is measured. The JSON file beside this one has every single figure, and each latency as a histogram.</p>",
    sizesSection(report),
    latencySection(report),
    ...growthAxes.map((axis) => growthSection(report, axis)),
    "</body>",
    "</html>",
    ""
  ].join("\n")

// --- internal ---

/** The groups of one comparison under the placement that was met most often. */
interface Placed {
  readonly placement: string
  readonly figures: ReadonlyArray<Figure>
}

const placedOf = (report: ComparisonReport, names: ReadonlyArray<string>): Placed => {
  const found = report.rounds.flat().filter(({ name }) => names.includes(name))
  const countOf = (wanted: string) => found.filter(({ placement }) => placement === wanted).length
  const placement = (["near", "far", "flipped"] as const).toSorted((a, b) => countOf(b) - countOf(a))[0] ?? "near"
  return {
    placement,
    figures: found.filter((group) => group.placement === placement).flatMap(({ values }) => values)
  }
}

const placementText = ({ placement }: Placed): string =>
  placement === "flipped" ? "The placement of the cores changed meanwhile." : `Cores placed ${placement}.`

const spreadIn = ({ figures }: Placed, key: string, value: string): Spread | undefined =>
  spreadOf(figures.filter((figure) => figure.key === key).flatMap(({ values }) => values[value] ?? []))

const medianIn = (placed: Placed, key: string, value: string): number | undefined =>
  spreadIn(placed, key, value)?.median

const present = <A>(values: ReadonlyArray<A | undefined>): ReadonlyArray<A> =>
  values.filter((value) => value !== undefined)

// --- throughput by message size ---

const sizeSeries: ReadonlyArray<{ name: string; kind: Series["kind"]; keyOf: (bytes: number) => string }> = [
  { name: "ring, 64 a publication", kind: "own", keyOf: sizeKeys.ring },
  { name: "log, acknowledged", kind: "own", keyOf: sizeKeys.log },
  { name: "copy limit", kind: "limit", keyOf: sizeKeys.copy },
  ...streamRivals.map((rival) => ({
    name: {
      messagePort: "postMessage, packed",
      ipcAdvanced: "child_process, packed",
      unixSocket: "Unix socket, packed",
      zeromq: "zeromq, packed",
      ringbuf: "ringbuf.js, spinning"
    }[rival[0]],
    kind: "rival" as const,
    keyOf: (bytes: number) => sizeKeys.rival(rival, bytes)
  }))
]

const sizesSection = (report: ComparisonReport): string => {
  const placedBy = new Map<number, Placed>(messageSizes.map((bytes) => [bytes, placedOf(report, [groups.size(bytes)])]))
  const rateOf = (keyOf: (bytes: number) => string, bytes: number) => {
    const placed = placedBy.get(bytes)
    return placed && spreadIn(placed, keyOf(bytes), "gigabytesPerSecond")
  }
  const placements = messageSizes.map((bytes) => `${formatBytes(bytes)} ${placedBy.get(bytes)?.placement}`).join(", ")
  return section(
    {
      title: "Throughput by message size",
      xLabel: "bytes of a message",
      yLabel: "throughput, GB/s (logarithmic)",
      xTicks: messageSizes.map((bytes) => ({ value: bytes, text: formatBytes(bytes) })),
      formatY: String,
      series: sizeSeries.map(({ keyOf, kind, name }) => ({
        name,
        kind,
        points: present(messageSizes.map((bytes) => {
          const rate = rateOf(keyOf, bytes)
          return rate && { x: bytes, y: rate.median }
        }))
      }))
    },
    `One writer and one reader that reads every byte; rivals' readers only count. Packed: 64 KiB of messages a call. Placement of the cores: ${placements}.`,
    [
      ["GB/s", ...messageSizes.map(formatBytes)],
      ...sizeSeries.map(({ keyOf, name }) => [name, ...messageSizes.map((bytes) => cell(rateOf(keyOf, bytes), 2))])
    ]
  )
}

// --- latency ---

const percentiles = [
  [0.5, "50 %"],
  [0.9, "90 %"],
  [0.99, "99 %"],
  [0.999, "99.9 %"],
  [0.9999, "99.99 %"]
] as const

const latencySection = (report: ComparisonReport): string => {
  const trips = placedOf(report, [groups.trips])
  const acks = placedOf(report, [groups.acknowledgements])
  const lines = [
    { name: "ring, asleep", kind: "own" as const, placed: trips, key: latencyKeys.ring },
    ...loads.map((load) => ({
      name: `log, acknowledged, ${100 * load} % load`,
      kind: "own" as const,
      placed: acks,
      key: latencyKeys.load(load)
    })),
    ...tripRivals.map((rival) => ({
      name: latencyKeys.rival(rival).replace("worker_threads, ", ""),
      kind: "rival" as const,
      placed: trips,
      key: latencyKeys.rival(rival)
    }))
  ].flatMap((line) => {
    const parts = line.placed.figures.filter(({ key }) => key === line.key).flatMap(({ latency }) => latency ?? [])
    return parts.length === 0 ? [] : [{ ...line, histogram: Histogram.merged(parts) }]
  })
  return section(
    {
      title: "Latency by percentile",
      xLabel: "percentile",
      yLabel: "latency, microseconds (logarithmic)",
      xTicks: percentiles.map(([fraction, text]) => ({ value: 1 / (1 - fraction), text })),
      formatY: (value) => value.toLocaleString("en-US"),
      series: lines.map(({ histogram, kind, name }) => ({
        name,
        kind,
        points: percentiles.map(([fraction]) => ({ x: 1 / (1 - fraction), y: histogram.percentile(fraction) }))
      }))
    },
    `Round trips of 64 bytes between two sides that sleep, and acknowledgements of records offered at a share of full speed. All runs together. ${
      placementText(trips)
    }${acks.placement === trips.placement ? "" : ` Acknowledgements: ${placementText(acks)}`}`,
    [
      [
        "",
        ...percentiles.map(([, text]) => text),
        "samples",
        "cores: publisher + reader + serving",
        "offered late, p99"
      ],
      ...lines.map(({ histogram, key, name, placed }) => [
        name,
        ...percentiles.map(([fraction]) => formatMicros(histogram.percentile(fraction))),
        histogram.percentiles().samples.toLocaleString("en-US"),
        coresOf(placed, key),
        cell(spreadIn(placed, key, "lateP99Micros"), 0, " µs")
      ])
    ]
  )
}

const coresOf = (placed: Placed, key: string): string =>
  present(["publisherCores", "readerCores", "serveCores"].map((name) => medianIn(placed, key, name)))
    .map((cores) => cores.toFixed(2)).join(" + ")

// --- growth ---

const growthTitles: Readonly<Record<GrowthAxis, string>> = {
  brokers: "brokers",
  publishers: "publisher processes",
  readers: "readers of all records, in at most as many processes as cores",
  sessions: "sessions of one publisher process"
}

const growthSection = (report: ComparisonReport, axis: GrowthAxis): string => {
  const placed = placedOf(report, [groups.growth(axis)])
  const rateOf = (size: number) => spreadIn(placed, growthKey(axis, size), "gigabytesPerSecond")
  const allowed = allowedBy(placed, axis, report.environment.cores)
  const sizes = growthSizes[axis]
  return section(
    {
      title: `Growth: ${growthTitles[axis]}`,
      xLabel: growthTitles[axis],
      yLabel: axis === "readers" ? "delivered to the last reader, GB/s" : "acknowledged, GB/s",
      xTicks: sizes.map((size) => ({ value: size, text: String(size) })),
      formatY: String,
      series: [
        {
          name: "log",
          kind: "own",
          points: present(sizes.map((size) => {
            const rate = rateOf(size)
            return rate && { x: size, y: rate.median }
          }))
        },
        {
          name: "what the cores allow",
          kind: "limit",
          points: present(sizes.map((size) => {
            const y = allowed(size)
            return y === undefined ? undefined : { x: size, y }
          }))
        }
      ]
    },
    `What the cores allow: by the processor time that a record took each process in the smallest size. ${
      placementText(placed)
    }`,
    [
      ["", "GB/s", "cores allow, GB/s", "loss", "cores: publishers + readers + serving"],
      ...sizes.map((size) => [
        String(size),
        cell(rateOf(size), 2),
        allowed(size)?.toFixed(2) ?? "",
        lossText(rateOf(size)?.median, allowed(size)),
        coresOf(placed, growthKey(axis, size))
      ])
    ]
  )
}

const allowedBy = (placed: Placed, axis: GrowthAxis, cores: number) => {
  const smallest = growthKey(axis, growthSizes[axis][0])
  const at = (value: string) => medianIn(placed, smallest, value)
  const [recordsPerSecond, gigabytesPerSecond] = [at("messagesPerSecond"), at("gigabytesPerSecond")]
  const [publisher, subscriber, serve] = [at("publisherCores"), at("readerCores"), at("serveCores")]
  return (size: number): number | undefined =>
    recordsPerSecond === undefined || gigabytesPerSecond === undefined || publisher === undefined
      || subscriber === undefined || serve === undefined
      ? undefined
      : gigabytesPerSecond / recordsPerSecond
        * allowedRate(axis, size, { recordsPerSecond, cores: { publisher, subscriber, serve } }, cores)
}

const lossText = (rate: number | undefined, allowed: number | undefined): string =>
  rate === undefined || allowed === undefined ? "" : `${Math.max(0, 100 * (1 - rate / allowed)).toFixed(0)} %`

// --- the page ---

const cell = (spread: Spread | undefined, digits: number, unit = ""): string => {
  if (spread === undefined) return ""
  const { max, median, min, runs } = spread
  const range = runs === 1 ? "" : ` (${min.toFixed(digits)}–${max.toFixed(digits)})`
  return `${median.toFixed(digits)}${range}${unit}`
}

const section = (chart: Chart, caption: string, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  [
    "<section>",
    `<h2>${escaped(chart.title)}</h2>`,
    svgOf(chart),
    `<p>${escaped(caption)}</p>`,
    table(rows),
    "</section>"
  ].join("\n")

const table = ([head = [], ...rows]: ReadonlyArray<ReadonlyArray<string>>): string =>
  [
    "<div class=\"wide\"><table>",
    `<tr>${head.map((text) => `<th>${escaped(text)}</th>`).join("")}</tr>`,
    ...rows.map(([name = "", ...cells]) =>
      `<tr><th>${escaped(name)}</th>${cells.map((text) => `<td>${escaped(text)}</td>`).join("")}</tr>`
    ),
    "</table></div>"
  ].join("\n")

const colourRules = chartColours.map((_, i) => `.c${i}{--c:var(--c${i})}`).join("")
const coloursOf = (index: 0 | 1): string => chartColours.map((pair, i) => `--c${i}:${pair[index]}`).join(";")

const style = [
  `:root{color-scheme:light dark;--ink:#1c1f23;--soft:#5a626c;--line:#d8dde3;--paper:#fff;${coloursOf(0)}}`,
  `@media(prefers-color-scheme:dark){:root{--ink:#e8eaed;--soft:#a8b0ba;--line:#3a4048;--paper:#15181c;${
    coloursOf(1)
  }}}`,
  "body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:900px;margin:2em auto;padding:0 1em}",
  "svg{width:100%;height:auto;font:13px system-ui,sans-serif;fill:var(--ink)}",
  ".label{fill:var(--soft)}.grid{stroke:var(--line)}.axis{stroke:var(--soft)}",
  `${colourRules}.limit{--c:var(--soft)}`,
  ".series{fill:var(--c)}.series polyline{fill:none;stroke:var(--c);stroke-width:1.6}",
  ".own polyline{stroke-width:3}.own text{font-weight:600}.limit polyline{stroke-dasharray:5 4}",
  ".leader{stroke:var(--c);stroke-width:.7;opacity:.6}",
  "p{color:var(--soft)}.wide{overflow-x:auto}table{border-collapse:collapse;font-size:14px}",
  "th,td{text-align:right;padding:.2em .7em;border-bottom:1px solid var(--line);white-space:nowrap}th:first-child{text-align:left}"
].join("\n")
