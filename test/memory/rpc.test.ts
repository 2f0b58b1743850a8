import { rpcResultsSuite } from "../suites/rpcResults.ts"
import { memoryRpc } from "./rpcFamily.ts"

rpcResultsSuite(memoryRpc)
