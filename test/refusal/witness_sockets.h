/* Unix sockets that stand in the way of a dump, by what is wrong with them. */
#ifndef TEST_REFUSAL_WITNESS_SOCKETS_H_
#define TEST_REFUSAL_WITNESS_SOCKETS_H_

/* One end of a pair whose other end is held by somebody who is no child of this process. */
int HalfOfAPair(int type);

/* Nothing when there is no such thing. */
void HoldSocket(const char* what);

#endif /* TEST_REFUSAL_WITNESS_SOCKETS_H_ */
