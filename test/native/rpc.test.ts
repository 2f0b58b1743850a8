import { rpcCallsSuite } from "../suites/rpcCalls.ts"
import { rpcDamageSuite } from "../suites/rpcDamage.ts"
import { rpcEndingsSuite } from "../suites/rpcEndings.ts"
import { rpcHistoriesSuite } from "../suites/rpcHistories.ts"
import { rpcOrderSuite } from "../suites/rpcOrder.ts"
import { rpcResultsSuite } from "../suites/rpcResults.ts"
import { nativeSwarms } from "./swarmFamily.ts"

rpcResultsSuite(nativeSwarms)
rpcCallsSuite(nativeSwarms)
rpcEndingsSuite(nativeSwarms)
rpcOrderSuite(nativeSwarms)
rpcDamageSuite(nativeSwarms)
rpcHistoriesSuite(nativeSwarms, 5)
