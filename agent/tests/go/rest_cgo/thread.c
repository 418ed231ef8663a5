#include <pthread.h>
#include <unistd.h>

void fromC(int stay);

static void *thread(void *stay) {
	fromC(stay != 0);
	for (;;)
		pause();
	return 0;
}

void call_from_threads(void) {
	static int one;
	pthread_t id;
	pthread_create(&id, 0, thread, 0);
	pthread_create(&id, 0, thread, 0);
	pthread_create(&id, 0, thread, &one);
}
