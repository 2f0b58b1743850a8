/**
 * The machine that a benchmark ran on.
 */
import { availableParallelism, cpus, release, totalmem } from "node:os"
import { plural } from "../cli/units.ts"

export interface Environment {
  readonly node: string
  readonly kernel: string
  readonly processor: string
  readonly cores: number
  readonly memoryBytes: number
}

export const environment = (): Environment => ({
  node: process.version,
  kernel: release(),
  processor: cpus()[0]?.model.trim() ?? "unknown",
  cores: availableParallelism(),
  memoryBytes: totalmem()
})

export const describeEnvironment = ({ cores, kernel, node, processor }: Environment): string =>
  `${processor}, ${plural(cores, "core")}, Node ${node}, Linux ${kernel}`
