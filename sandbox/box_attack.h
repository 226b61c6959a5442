// Test build only: what an attacker has who owns the interpreter. A library `attack` in every
// script.
#pragma once
#include <lua.h>

void box_attack_open(lua_State *L);
