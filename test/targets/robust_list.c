/* The robust list: a thread that ends with a mutex held leaves EOWNERDEAD to the next owner. */
#include "test/targets/target.h"

static pthread_mutex_t mutex;

static void* Head(void) {
  void* head = NULL;
  size_t size = 0;
  EXPECT(syscall(SYS_get_robust_list, 0, &head, &size) == 0);
  return head;
}

static void* Body(void* unused) {
  REQUIRE(pthread_mutex_lock(&mutex) == 0);
  void* head = Head();
  ThreadReady();
  WaitForGo();
  EXPECT_EQ(head, Head());
  return unused;
}

int main(void) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  REQUIRE(pthread_mutex_init(&mutex, &attributes) == 0);
  pthread_t thread = StartThread(Body, NULL);
  WaitThreadsReady(1);
  void* head = Head();
  Checkpoint();
  EXPECT_EQ(head, Head());
  EXPECT_EQ(EOWNERDEAD, pthread_mutex_lock(&mutex));
  EXPECT_EQ(0, pthread_mutex_consistent(&mutex));
  EXPECT_EQ(0, pthread_mutex_unlock(&mutex));
  Join(thread);
  Pass();
}
