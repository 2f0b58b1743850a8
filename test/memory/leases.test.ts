import { memory } from "../backends/memory/log.ts"
import { leasesSuite } from "../suites/log/leases.ts"

leasesSuite(memory)
