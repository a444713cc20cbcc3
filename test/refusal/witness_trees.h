/* Trees that check themselves at each step: what they share, and that all of it still works. */
#ifndef TEST_REFUSAL_WITNESS_TREES_H_
#define TEST_REFUSAL_WITNESS_TREES_H_

/* "shared": three generations, with shared memory, unix sockets, a lock and a deleted file.
 * "connected": two, with connections of TCP between them.
 * "linked": the same, and a file of which one name is deleted.
 * Nothing when there is no such thing. */
void HoldTreeOf(const char* what);

/* What is found wrong ends the process; nothing where none is held. */
void CheckTree(void);

#endif /* TEST_REFUSAL_WITNESS_TREES_H_ */
