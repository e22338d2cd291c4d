/* A Streaming reducer: lines `word TAB count`, sorted, become one line a word. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
    char *line = NULL, *word = NULL;
    size_t room = 0, kept = 0;
    ssize_t length;
    unsigned long long count = 0;
    while ((length = getline(&line, &room, stdin)) > 0) {
        char *tab = memchr(line, '\t', length);
        if (!tab) continue;
        *tab = 0;
        size_t bytes = tab - line + 1;
        if (!word || strcmp(word, line)) {
            if (word) printf("%s\t%llu\n", word, count);
            if (kept < bytes) word = realloc(word, kept = bytes * 2);
            memcpy(word, line, bytes);
            count = 0;
        }
        count += strtoull(tab + 1, NULL, 10);
    }
    if (word) printf("%s\t%llu\n", word, count);
    return 0;
}
