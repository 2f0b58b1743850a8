import { native } from "../backends/native/log.ts"
import { historySuite } from "../suites/log/history.ts"
import { replicasSuite } from "../suites/log/replicas.ts"
import { restoringSuite } from "../suites/log/restoring.ts"

replicasSuite(native)
restoringSuite(native)
historySuite(native)
