/*
 * The one thing that C cannot do for operators.c: to find out that the new handler threw. The nothrow forms of new
 * turn whatever it throws into null. In a program without the C++ library none of these names exists, nor a handler.
 */
__asm__(".weak __gxx_personality_v0\n.weak __cxa_begin_catch\n.weak __cxa_end_catch");

extern "C" __attribute__((visibility("hidden"))) bool handler_returns(void (*handler)());

bool handler_returns(void (*handler)())
{
    try {
        handler();
        return true;
    } catch (...) {
        return false;
    }
}
