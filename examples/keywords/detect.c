/* detect.c: say which keyword a clip of features holds, one frame at a time.
 *
 *	detect [FILE]           FILE: raw float32, [frames][BANDS]; default yes.f32
 *
 * Link with the compiled model (keywords.h and its object or C file) and the
 * runtime.  The features are read frame by frame, as a microphone would bring
 * them, so that memory does not grow with the length of the clip.
 */
#include <stdint.h>
#include <stdio.h>

#include "gatefold.h"
#include "keywords.h"

#define BANDS 16

static const char *const classes[] = {
	"yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go", "unknown",
};
#define CLASSES (sizeof classes / sizeof classes[0])

/* Stored elements have 8 bytes at most, whatever the model was quantized to. */
static _Alignas(GF_ALIGN) uint8_t state[KEYWORDS_STATE];
static _Alignas(GF_ALIGN) uint8_t scratch[KEYWORDS_SCRATCH];
static _Alignas(GF_ALIGN) uint8_t features[BANDS * 8];
static _Alignas(GF_ALIGN) uint8_t logits[CLASSES * 8];

static int fail(const char *what)
{
	fprintf(stderr, "detect: %s\n", what);
	return 1;
}

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : "yes.f32";
	const void *const in[] = { features };
	void *const out[] = { logits };
	float frame[BANDS], score[CLASSES];
	size_t best = 0, got;
	int frames = 0;
	gf_status s;
	FILE *f;

	/* The tables above were written for one model; refuse to index with another. */
	if (keywords.abi != GF_ABI)
		return fail(gf_status_text(GF_ABI_MISMATCH));
	if (keywords.nin != 1 || gf_count(&keywords.in[0], 1) != BANDS ||
	    keywords.nout != 1 || gf_count(&keywords.out[0], 1) != CLASSES)
		return fail("the model is not a keyword model");
	if (!keywords.step)
		return fail("the model does not stream");

	f = fopen(path, "rb");
	if (!f) {
		perror(path);
		return 1;
	}
	s = keywords.reset(state);
	while (!s && (got = fread(frame, sizeof frame[0], BANDS, f)) == BANDS) {
		gf_quantize(&keywords.in[0], frame, features, BANDS);
		s = keywords.step(state, scratch, in, out);
		frames++;
	}
	fclose(f);
	if (s)
		return fail(gf_status_text(s));
	if (frames == 0 || got != 0)
		return fail("the file does not hold whole frames");

	/* Every step answers; the last one has heard the whole clip. */
	gf_dequantize(&keywords.out[0], logits, score, CLASSES);
	for (size_t i = 1; i < CLASSES; i++)
		if (score[i] > score[best])
			best = i;
	printf("%s (%d frames, logit %.2f)\n", classes[best], frames, (double)score[best]);
	return 0;
}
