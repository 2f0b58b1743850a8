import { native } from "../backends/native/log.ts"
import { identitiesSuite } from "../suites/log/identities.ts"

identitiesSuite(native)
