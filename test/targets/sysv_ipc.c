/* System V shared memory that a family has attached: its contents, key, id, owner and mode,
 * attached twice, for reading alone, with other protections in its middle, and for removal already;
 * and the semaphores and message queues beside it. */
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include "test/targets/family.h"
#include "test/targets/target.h"

enum { kPage = 4096, kPages = 16 };

static char* common;
static int semaphores;

static void Change(int number, int by) {
  struct sembuf operation = {.sem_num = (unsigned short)number, .sem_op = (short)by};
  EXPECT_EQ(0, semop(semaphores, &operation, 1));
}

static void Sharer(Child* self, void* unused) {
  (void)unused;
  AwaitCheck(self);
  ExpectFilled("what the parent wrote", common, kPage, 1);
  strcpy(common + 2 * kPage, "to the parent");
  Change(2, 7);
}

typedef struct {
  long type;
  char text[5000];
} Message;

static void Send(int queue, long type, size_t size) {
  static Message message;
  message.type = type;
  Fill(message.text, sizeof(message.text), (uint64_t)type);
  REQUIRE_SYSCALL(msgsnd(queue, &message, size, 0));
}

/* By its type, or the first one. */
static void Receive(int queue, long wanted, long type, size_t size) {
  static Message message;
  EXPECT_EQ(size, msgrcv(queue, &message, sizeof(message.text), wanted, IPC_NOWAIT));
  EXPECT_EQ(type, message.type);
  if (size > 0) ExpectFilled("a message", message.text, size, (uint64_t)type);
}

static int queue, private_queue;

static void Remove(int segment) {
  msgctl(queue, IPC_RMID, NULL);
  msgctl(private_queue, IPC_RMID, NULL);
  shmctl(segment, IPC_RMID, NULL);
  semctl(semaphores, 0, IPC_RMID);
}

int main(void) {
  const key_t key = 0x5e600000; /* in the test's own namespace */
  const int segment = (int)REQUIRE_SYSCALL(shmget(key, kPages * kPage - 100, IPC_CREAT | 0640));
  semaphores = (int)REQUIRE_SYSCALL(semget(key, 3, IPC_CREAT | 0600));
  queue = (int)REQUIRE_SYSCALL(msgget(key, IPC_CREAT | 0640));
  private_queue = (int)REQUIRE_SYSCALL(msgget(IPC_PRIVATE, 0600));
  Send(queue, 5, 5);
  Send(queue, 0x123456789, 0);
  Send(queue, 7, 5000);
  Send(queue, 5, 8);
  Send(private_queue, 1, 1);
  Receive(private_queue, 0, 1, 1);
  common = shmat(segment, NULL, 0);
  REQUIRE(common != (void*)-1);
  Fill(common, kPage, 1);
  Fill(common + 3 * kPage, kPage, 2);
  REQUIRE_SYSCALL(mprotect(common + 4 * kPage, kPage, PROT_READ));
  const char* reader = shmat(segment, NULL, SHM_RDONLY);
  REQUIRE(reader != (void*)-1);
  struct shmid_ds facts;
  REQUIRE_SYSCALL(shmctl(segment, IPC_STAT, &facts));
  facts.shm_perm.uid = 12;
  facts.shm_perm.gid = 34;
  REQUIRE_SYSCALL(shmctl(segment, IPC_SET, &facts));
  const int gone = (int)REQUIRE_SYSCALL(shmget(IPC_PRIVATE, 2 * kPage, 0600));
  char* last = shmat(gone, NULL, 0);
  REQUIRE(last != (void*)-1);
  Fill(last, kPage, 3);
  REQUIRE_SYSCALL(shmctl(gone, IPC_RMID, NULL));
  Child* sharer = StartChild(0, Sharer, NULL);
  REQUIRE_SYSCALL(semctl(semaphores, 1, SETVAL, 5));
  Change(1, -2);
  Change(0, 1);

  Checkpoint();

  ExpectFilled("the first page", common, kPage, 1);
  ExpectFilled("attached again", reader + 3 * kPage, kPage, 2);
  EXPECT_EQ(0, common[kPage]);
  EXPECT(HasVmFlag(common + 5 * kPage, "wr"));
  EXPECT(!HasVmFlag(common + 4 * kPage, "wr"));
  EXPECT(HasVmFlag(common + 4 * kPage, "mw"));
  /* A restore attaches what was SHM_RDONLY for writing and protects it, so "mw" is there then. */
  EXPECT(!HasVmFlag(reader, "wr"));
  CheckChild(sharer);
  EXPECT_STREQ("to the parent", reader + 2 * kPage);
  ExpectFilled("removed", last, kPage, 3);
  EXPECT_EQ(segment, shmget(key, 0, 0));
  EXPECT_EQ(0, shmctl(segment, IPC_STAT, &facts));
  EXPECT_EQ(kPages * kPage - 100, facts.shm_segsz);
  EXPECT_EQ(0640, facts.shm_perm.mode & 0777);
  EXPECT_EQ(12, facts.shm_perm.uid);
  EXPECT_EQ(34, facts.shm_perm.gid);
  EXPECT_EQ(queue, msgget(key, 0));
  struct msqid_ds about;
  EXPECT_EQ(0, msgctl(queue, IPC_STAT, &about));
  EXPECT_EQ(4, about.msg_qnum);
  EXPECT_EQ(0640, about.msg_perm.mode & 0777);
  Receive(queue, 7, 7, 5000);
  Receive(queue, 0, 5, 5);
  Receive(queue, 0, 0x123456789, 0);
  Receive(queue, 0, 5, 8);
  EXPECT_EQ(-1, msgrcv(queue, &about, 0, 0, IPC_NOWAIT));
  EXPECT_EQ(ENOMSG, errno);
  EXPECT_EQ(-1, msgrcv(private_queue, &about, 0, 0, IPC_NOWAIT));
  EXPECT_EQ(ENOMSG, errno);
  EXPECT_EQ(semaphores, semget(key, 3, 0));
  EXPECT_EQ(1, semctl(semaphores, 0, GETVAL));
  EXPECT_EQ(3, semctl(semaphores, 1, GETVAL));
  EXPECT_EQ(7, semctl(semaphores, 2, GETVAL));
  EXPECT_EQ(0, shmdt(last));
  Remove(segment);
  Pass();
}
