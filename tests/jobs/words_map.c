/* A Streaming mapper: every word of standard input and a one. */
#include <stdio.h>

int main(void) {
    static char in[1 << 16], out[1 << 16];
    setvbuf(stdin, in, _IOFBF, sizeof in);
    setvbuf(stdout, out, _IOFBF, sizeof out);
    int byte, inside = 0;
    while ((byte = getchar_unlocked()) != EOF) {
        if (byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r' || byte == '\f') {
            if (inside) fputs_unlocked("\t1\n", stdout);
            inside = 0;
        } else {
            putchar_unlocked(byte);
            inside = 1;
        }
    }
    if (inside) fputs_unlocked("\t1\n", stdout);
    return 0;
}
