/**
 * The report of the call soak: the memory of both ends, sample by sample, and whether it grew with the calls.
 */
import { type Check, check, checkLine } from "../../src/programs/cli/checks.ts"
import { table } from "../../src/programs/cli/report.ts"
import { formatBytes, formatCount } from "../../src/programs/cli/units.ts"
import type { MemoryUsage } from "../../src/programs/measure/memory-usage.ts"
import type { CallsJob, CallsResult, CallsSample } from "./calls-jobs.ts"

/** The settings. */
export type CallsSettings = Omit<CallsJob, "region" | "name" | "coordinates" | "members">

export interface CallsSoakReport extends CallsSettings {
  readonly program: "soak-calls"
  readonly passed: boolean
  readonly callsPerSecond: number
  readonly samples: ReadonlyArray<CallsSample>
  readonly checks: ReadonlyArray<Check>
}

export const report = (
  settings: CallsSettings,
  { samples, seconds, wrong }: CallsResult
): CallsSoakReport => {
  const checks = [
    check("every answer is right", wrong === 0, `${formatCount(wrong)} of ${formatCount(settings.calls)} were wrong`),
    ...ends.map((end) => nothingIsLeft(end, samples))
  ]
  return {
    program: "soak-calls",
    passed: checks.every(({ holds }) => holds),
    ...settings,
    callsPerSecond: settings.calls / seconds,
    samples,
    checks
  }
}

export const describe = ({ calls, callsPerSecond, checks, samples }: CallsSoakReport): string =>
  [
    "",
    `${formatCount(calls)} calls, ${formatCount(Math.round(callsPerSecond))} a second`,
    ...ends.flatMap((end) => ["", tableOf(end, samples)]),
    "",
    ...checks.map(checkLine)
  ].join("\n")

// --- internal ---

const ends = ["server", "client"] as const
type End = (typeof ends)[number]

/**
 * The allowed difference between two samples of a process that leaks nothing: compiled code, caches, the collector's
 * own state.
 */
const slackBytes = 4 * 1024 * 1024

const nothingIsLeft = (end: End, samples: ReadonlyArray<CallsSample>): Check => {
  const [first, last] = samples.filter(({ collected }) => collected)
  if (first === undefined || last === undefined || first.calls === last.calls) {
    return check(`${end}: memory in use does not grow`, true, "too few calls to tell")
  }
  const grown = inUse(last[end]) - inUse(first[end])
  const perCall = (grown / (last.calls - first.calls)).toFixed(2)
  return check(
    `${end}: memory in use does not grow`,
    grown <= slackBytes,
    `${formatBytes(inUse(first[end]))} after ${formatCount(first.calls)} calls, ${formatBytes(inUse(last[end]))} after `
      + `${formatCount(last.calls)}: ${perCall} bytes a call`
  )
}

// External memory includes array buffers.
const inUse = ({ externalBytes, heapBytes }: MemoryUsage): number => heapBytes + externalBytes

const tableOf = (end: End, samples: ReadonlyArray<CallsSample>): string =>
  table([
    [end, "resident", "its own", "regions", "heap", "external", "array buffers"],
    ...samples.map((sample) => {
      const { anonymousBytes, arrayBufferBytes, externalBytes, heapBytes, residentBytes, sharedBytes } = sample[end]
      return [
        `${formatCount(sample.calls)}${sample.collected ? ", collected" : ""}`,
        ...[residentBytes, anonymousBytes, sharedBytes, heapBytes, externalBytes, arrayBufferBytes].map(formatBytes)
      ]
    })
  ])
