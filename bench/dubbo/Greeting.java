package pierhead;

public interface Greeting {
    String greet(String name);
}
