import { lifecycleFailoverSuite } from "../suites/lifecycleFailover.ts"
import { lifecycleJoiningSuite } from "../suites/lifecycleJoining.ts"
import { lifecycleLeavingSuite } from "../suites/lifecycleLeaving.ts"
import { lifecycleNamesSuite } from "../suites/lifecycleNames.ts"
import { nativeSwarms } from "./swarmFamily.ts"

lifecycleJoiningSuite(nativeSwarms)
lifecycleLeavingSuite(nativeSwarms)
lifecycleFailoverSuite(nativeSwarms)
lifecycleNamesSuite(nativeSwarms)
