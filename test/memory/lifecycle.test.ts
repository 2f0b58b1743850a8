import { lifecycleFailoverSuite } from "../suites/lifecycleFailover.ts"
import { lifecycleJoiningSuite } from "../suites/lifecycleJoining.ts"
import { lifecycleLeavingSuite } from "../suites/lifecycleLeaving.ts"
import { lifecycleNamesSuite } from "../suites/lifecycleNames.ts"
import { memorySwarms } from "./swarmFamily.ts"

lifecycleJoiningSuite(memorySwarms)
lifecycleLeavingSuite(memorySwarms)
lifecycleFailoverSuite(memorySwarms)
lifecycleNamesSuite(memorySwarms)
