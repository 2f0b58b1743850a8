/**
 * The figures of a run as text.
 */
import { formatBytes, formatCount, formatMicros, formatRate, formatSeconds, plural } from "../cli/units.ts"
import type { BrokerRow, Figures } from "./checks.ts"

export const figureLines = (figures: Figures): ReadonlyArray<string> => {
  const { ackLatencyMicros: latency } = figures
  return [
    `records       ${formatCount(figures.records)} (${formatBytes(figures.bytes)}) in ${
      formatSeconds(figures.seconds)
    }`,
    `acknowledged  ${
      formatRate(figures.acknowledgedGigabytesPerSecond)
    }, from the first offer to the last acknowledgement`,
    `delivered     ${
      formatRate(figures.deliveredGigabytesPerSecond)
    }, from the first offer to the last subscriber's end`,
    `ack latency   p50 ${formatMicros(latency.p50)}   p99 ${formatMicros(latency.p99)}   `
    + `p99.9 ${formatMicros(latency.p999)}   (${plural(latency.samples, "sample")}, at full load)`,
    `lane full     ${plural(figures.laneFullEvents, "time")}`,
    `held          ${formatCount(figures.held)} batches, up to ${formatCount(figures.heldAtOnce)} seen at once`,
    `drops         ${formatCount(figures.drops)}`,
    `duplicates    ${formatCount(figures.duplicates)}`
  ]
}

export const brokerTable = (brokers: ReadonlyArray<BrokerRow>): ReadonlyArray<string> => [
  "broker   batches     records   acknowledged   lane full",
  ...brokers.map(({ acknowledged, batches, broker, fullEvents, records }) =>
    [
      `B${broker}`.padEnd(6),
      formatCount(batches).padStart(10),
      formatCount(records).padStart(12),
      formatCount(acknowledged).padStart(15),
      formatCount(fullEvents).padStart(12)
    ].join("")
  )
]
