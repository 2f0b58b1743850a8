/**
 * Formats the values of a benchmark. The end of a value's name is its unit.
 */
import { formatMicros } from "../../src/programs/cli/units.ts"

export type Unit = "micros" | "perSecond" | "times" | "percent"

/** `p50Micros`, `p50Nanos`, `messagesPerSecond`, `gigabytesPerSecond`, `idlePercent`, `writerCores`. */
export const formatValue = (name: string, value: number): string => {
  if (name.endsWith("Micros")) return formatFinely(value)
  if (name.endsWith("Nanos")) return `${value.toFixed(1)} ns`
  if (name === "gigabytesPerSecond") return `${value.toFixed(2)} GB/s`
  if (name.endsWith("PerSecond")) return formatPerSecond(value)
  if (name.endsWith("Percent")) return `${value.toFixed(2)} %`
  return value.toFixed(2)
}

/** The label before a value that its unit alone does not explain: `p50`, `writer cores`. */
export const labelOf = (name: string): string => {
  const label = name.replace(/Micros$|Nanos$|Percent$/, "").replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
  return name.endsWith("PerSecond") ? "" : `${label} `
}

export const formatGoal = (unit: Unit, value: number): string => {
  switch (unit) {
    case "micros":
      return formatFinely(value)
    case "perSecond":
      return formatPerSecond(value)
    case "times":
      return value.toFixed(2)
    case "percent":
      return `${value.toFixed(2)} %`
  }
}

// --- internal ---

const formatFinely = (micros: number): string => micros < 10 ? `${micros.toFixed(2)} µs` : formatMicros(micros)

const formatPerSecond = (perSecond: number): string =>
  perSecond < 100_000 ? `${(perSecond / 1e3).toFixed(1)} k/s` : `${(perSecond / 1e6).toFixed(2)} M/s`
