/* What starting a program takes at least: see kernel_bench.cc. */
int main(void) { return 0; }
