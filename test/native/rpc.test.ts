import { rpcResultsSuite } from "../suites/rpcResults.ts"
import { nativeRpc } from "./rpcFamily.ts"

rpcResultsSuite(nativeRpc)
