import { rpcCallsSuite } from "../suites/rpcCalls.ts"
import { rpcDamageSuite } from "../suites/rpcDamage.ts"
import { rpcEndingsSuite } from "../suites/rpcEndings.ts"
import { rpcHistoriesSuite } from "../suites/rpcHistories.ts"
import { rpcOrderSuite } from "../suites/rpcOrder.ts"
import { rpcResultsSuite } from "../suites/rpcResults.ts"
import { memorySwarms } from "./swarmFamily.ts"

rpcResultsSuite(memorySwarms)
rpcCallsSuite(memorySwarms)
rpcEndingsSuite(memorySwarms)
rpcOrderSuite(memorySwarms)
rpcDamageSuite(memorySwarms)
rpcHistoriesSuite(memorySwarms, 40)
