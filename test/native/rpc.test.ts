import { rpcCallsSuite } from "../suites/rpcCalls.ts"
import { rpcOrderSuite } from "../suites/rpcOrder.ts"
import { rpcResultsSuite } from "../suites/rpcResults.ts"
import { nativeSwarms } from "./swarmFamily.ts"

rpcResultsSuite(nativeSwarms)
rpcCallsSuite(nativeSwarms)
rpcOrderSuite(nativeSwarms)
