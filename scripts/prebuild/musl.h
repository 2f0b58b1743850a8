// Included ahead of everything when Debian's libstdc++ headers, which were configured for glibc, meet musl's C headers.
#pragma once

#include <features.h>

// True for all: libstdc++ then takes threads as part of libc, as they are in musl, and not as a library that may be
// absent, without which its mutexes would lock nothing.
#define __GLIBC_PREREQ(major, minor) 1
#define GTHREAD_USE_WEAK 0

#include <locale.h>
typedef locale_t __locale_t;
#define __uselocale uselocale

#include <bits/c++config.h>
#undef _GLIBCXX_USE_PTHREAD_COND_CLOCKWAIT
#undef _GLIBCXX_USE_PTHREAD_MUTEX_CLOCKLOCK
#undef _GLIBCXX_USE_PTHREAD_RWLOCK_CLOCKLOCK

// Named by the declaration of std::ctype alone: no character is classified with them, and the build refuses a module
// that asks for the tables behind them.
enum { _ISupper = 1, _ISlower = 2, _ISalpha = 4, _ISdigit = 8, _ISxdigit = 16, _ISspace = 32, _ISprint = 64 };
enum { _ISgraph = 128, _ISblank = 256, _IScntrl = 512, _ISpunct = 1024, _ISalnum = 2048 };
