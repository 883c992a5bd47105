/* Runs a fuzz target over the files named on the command line: the corpora replay in ./test without libFuzzer. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		FILE *f = fopen(argv[i], "rb");
		if (!f)
			continue;
		uint8_t *buf = malloc(1 << 20);
		size_t n = buf ? fread(buf, 1, 1 << 20, f) : 0;
		fclose(f);
		/* exact-size copy so that ASan sees a read past the end */
		uint8_t *exact = malloc(n ? n : 1);
		for (size_t k = 0; exact && k < n; k++)
			exact[k] = buf[k];
		free(buf);
		if (exact)
			LLVMFuzzerTestOneInput(exact, n);
		free(exact);
	}
	printf("replayed %d files\n", argc - 1);
	return 0;
}
