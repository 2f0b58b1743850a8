/**
 * How much of the machine this process uses.
 */
import { readFileSync } from "node:fs"

/** Starts counting; the result says how many cores this process, all its threads together, used on average since. */
export const coresSince = (): () => number => {
  const startedMillis = performance.now()
  const before = process.cpuUsage()
  return () => {
    const { system, user } = process.cpuUsage(before)
    return (system + user) / 1000 / Math.max(0.001, performance.now() - startedMillis)
  }
}

/** The most memory this process ever had resident, shared memory included; 0 where the system does not tell. */
export const peakResidentBytes = (): number => {
  try {
    const [, kibibytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8")) ?? []
    return Number(kibibytes ?? 0) * 1024
  } catch {
    return 0
  }
}
