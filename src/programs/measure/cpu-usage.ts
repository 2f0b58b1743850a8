/**
 * Processor and memory usage of this process.
 */
import { readFileSync } from "node:fs"

/**
 * Starts counting; the returned function gives the average number of cores that all threads of this process have used
 * since.
 */
export const coresSince = (): () => number => {
  const startedMillis = performance.now()
  const before = process.cpuUsage()
  return () => {
    const { system, user } = process.cpuUsage(before)
    return (system + user) / 1000 / Math.max(0.001, performance.now() - startedMillis)
  }
}

/** Peak resident memory of this process, shared memory included; 0 if the system does not report it. */
export const peakResidentBytes = (): number => {
  try {
    const [, kibibytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8")) ?? []
    return Number(kibibytes ?? 0) * 1024
  } catch {
    return 0
  }
}
