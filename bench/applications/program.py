"""Prints a large C program for the compilers to chew on. usage: program.py [functions]"""
import sys


def chances(state=42):
    while True:
        state = (state * 1103515245 + 12345) & 0x7fffffff
        yield state >> 8


def function(number, chance):
    lines = [f"struct s{number} {{ int a, b; double x[{next(chance) % 9 + 1}]; struct s{number} *next; }};",
             f"__attribute__((noinline)) static int f{number}(struct s{number} *s, const char *text, int n)", "{",
             "    int total = n;"]
    for i in range(next(chance) % 12 + 6):
        kind, value = next(chance) % 4, next(chance) % 1000
        if kind == 0:
            lines.append(f"    for (int i = 0; i < n; i++) total += text[i] * {value} ^ s->a >> {i};")
        elif kind == 1:
            lines.append(f"    if (s->next && total % {value + 2} > {i}) s = s->next, s->x[0] += total * {value}.5;")
        elif kind == 2:
            lines.append(f"    switch (total & 7) {{ case {i % 8}: total += {value}; break; "
                         f"default: s->b -= total / {value + 1}; }}")
        else:
            lines.append(f'    while (*text && *text != "{value}"[0]) total = total * 31 + *text++;')
    if number:
        lines.append(f"    struct s{number - 1} local = {{.a = total, .b = n}};")
        lines.append(f"    if (n > 0) total += f{number - 1}(&local, text, n - 1);")
    return lines + ["    return total;", "}", ""]


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 80
    chance = chances()
    for number in range(count):
        print("\n".join(function(number, chance)))
    print(f"int main(int argc, char **argv)\n{{\n    struct s{count - 1} s = {{.a = argc}};\n"
          f"    return f{count - 1}(&s, argv[0], argc);\n}}")


main()
