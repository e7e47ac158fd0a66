/*
 * Lua, embedded.
 *
 *     lua [SCALE] [ROUNDS]         runs tables.lua, which is part of the program
 *     lua -e SCRIPT [ARGUMENT…]    runs a script of one's own
 *
 * Needs liblua5.4.a. Live bytes are exact: Lua tells its allocator the size of everything it gives back.
 */
#include <lua5.4/lauxlib.h>
#include <lua5.4/lua.h>
#include <lua5.4/lualib.h>
#include <string.h>

#include "phases.h"
#include "tables"

struct count {
    size_t live, most_live;
};

static void *allocate(void *context, void *object, size_t old_size, size_t new_size)
{
    struct count *count = context;
    if (object == NULL)
        old_size = 0; /* it says what kind of object is made */
    void *result = NULL;
    if (new_size == 0)
        free(object);
    else if ((result = realloc(object, new_size)) == NULL)
        return NULL;
    count->live += new_size - old_size;
    if (count->live > count->most_live)
        count->most_live = count->live;
    return result;
}

static int peak(lua_State *lua)
{
    struct count *count;
    lua_getallocf(lua, (void **)&count);
    phases_peak(count->live);
    return 0;
}

/* arg[0] is the name, arg[1] the first argument of the script. */
static void set_arguments(lua_State *lua, const char *name, int count, char **arguments)
{
    lua_newtable(lua);
    lua_pushstring(lua, name);
    lua_rawseti(lua, -2, 0);
    for (int i = 0; i < count; i++) {
        lua_pushstring(lua, arguments[i]);
        lua_rawseti(lua, -2, i + 1);
    }
    lua_setglobal(lua, "arg");
}

static int run(lua_State *lua)
{
    const char *script = lua_touserdata(lua, 1), *name = lua_touserdata(lua, 2);
    luaL_openlibs(lua);
    lua_register(lua, "peak", peak);
    if (luaL_loadbuffer(lua, script, strlen(script), name) != LUA_OK)
        return lua_error(lua);
    lua_call(lua, 0, 0);
    return 0;
}

int main(int argc, char **argv)
{
    const char *script = tables_lua, *name = "=tables.lua";
    int first = 1;
    if (argc > 1 && strcmp(argv[1], "-e") == 0) {
        if (argc == 2) {
            fprintf(stderr, "usage: lua [SCALE] [ROUNDS] | lua -e SCRIPT [ARGUMENT...]\n");
            return 2;
        }
        script = argv[2];
        name = "=script";
        first = 3;
    }

    struct count count = {0, 0};
    phases_before();
    lua_State *lua = lua_newstate(allocate, &count);
    if (lua == NULL) {
        fprintf(stderr, "lua: out of memory\n");
        return 1;
    }
    set_arguments(lua, name + 1, argc - first, argv + first);
    lua_pushcfunction(lua, run);
    lua_pushlightuserdata(lua, (void *)script);
    lua_pushlightuserdata(lua, (void *)name);
    int status = lua_pcall(lua, 2, 0, 0);
    if (status != LUA_OK)
        fprintf(stderr, "lua: %s\n", lua_tostring(lua, -1));
    lua_close(lua);
    if (status == LUA_OK && count.live != 0) {
        fprintf(stderr, "lua: %zu bytes were not freed\n", count.live);
        status = LUA_ERRRUN;
    }
    if (status == LUA_OK)
        phases_freed(count.most_live);
    return status == LUA_OK ? 0 : 1;
}
