import { native } from "../backends/native/log.ts"
import { leasesSuite } from "../suites/log/leases.ts"

leasesSuite(native)
