/* Contexts of native asynchronous I/O: their addresses, what has ended and was not picked up, rings
 * that have gone around, and how much they take. */
#include <linux/aio_abi.h>

#include "test/targets/target.h"

static int file;
static char buffer[4096];

static long Submit(aio_context_t context, uint64_t data) {
  struct iocb request = {.aio_data = data,
                         .aio_lio_opcode = IOCB_CMD_PREAD,
                         .aio_fildes = (uint32_t)file,
                         .aio_buf = (uint64_t)(uintptr_t)buffer,
                         .aio_nbytes = 512,
                         .aio_offset = 0};
  struct iocb* requests[] = {&request};
  return syscall(SYS_io_submit, context, 1, requests);
}

static void ExpectEvents(aio_context_t context, uint64_t first, int count) {
  struct io_event events[64];
  struct timespec at_once = {0};
  EXPECT_EQ(count, syscall(SYS_io_getevents, context, 0, 64, events, &at_once));
  for (int i = 0; i < count; ++i) {
    EXPECT_EQ(first + (uint64_t)i, events[i].data);
    EXPECT_EQ(512, events[i].res);
  }
}

static aio_context_t Setup(unsigned events) {
  aio_context_t context = 0;
  REQUIRE_SYSCALL(syscall(SYS_io_setup, events, &context));
  return context;
}

int main(void) {
  const aio_context_t large = Setup(1000), small = Setup(1), idle = Setup(100);
  Fill(buffer, sizeof(buffer), 1);
  file = (int)REQUIRE_SYSCALL(open("file", O_RDWR | O_CREAT, 0600));
  REQUIRE(write(file, buffer, sizeof(buffer)) == sizeof(buffer));
  for (uint64_t i = 0; i < 5000; i += 10) {
    for (uint64_t j = 0; j < 10; ++j) REQUIRE(Submit(large, i + j) == 1);
    ExpectEvents(large, i, 10);
  }
  for (uint64_t i = 0; i < 20; ++i) REQUIRE(Submit(large, 100 + i) == 1);
  for (uint64_t i = 0; i < 3; ++i) REQUIRE(Submit(small, 7 + i) == 1);

  Checkpoint();

  ExpectEvents(large, 100, 20);
  ExpectEvents(small, 7, 3);
  ExpectEvents(idle, 0, 0);
  memset(buffer, 0, sizeof(buffer));
  EXPECT_EQ(1, Submit(small, 42));
  ExpectEvents(small, 42, 1);
  ExpectFilled("what was read", buffer, 512, 1);
  int taken = 0;
  while (taken < 4096 && Submit(large, 1) == 1) ++taken;
  EXPECT(taken >= 1000 && taken < 4096);
  EXPECT_EQ(0, syscall(SYS_io_destroy, large));
  EXPECT_EQ(0, syscall(SYS_io_destroy, idle));
  Pass();
}
