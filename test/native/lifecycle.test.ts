import { lifecycleJoiningSuite } from "../suites/lifecycleJoining.ts"
import { nativeSwarms } from "./swarmFamily.ts"

lifecycleJoiningSuite(nativeSwarms)
