import { lifecycleJoiningSuite } from "../suites/lifecycleJoining.ts"
import { memorySwarms } from "./swarmFamily.ts"

lifecycleJoiningSuite(memorySwarms)
